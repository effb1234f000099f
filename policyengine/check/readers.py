"""`readers(tool.args.x)`: who may see the value of an argument, as the context states it.

In: the path to the argument. Out: an expression over the context alone, so that every evaluator reads it like any
other. For a value that everybody may see, the context states `*`.
"""

from __future__ import annotations

from policyengine.check.environment import UNKNOWN, TypeEnv
from policyengine.diagnostics import codes
from policyengine.diagnostics.source import Span
from policyengine.ir.nodes import Attribute, Const, Expect, Expr, Local, Lookup, Root
from policyengine.model.types import JSON, STRING, SetT

READERS, EVERYBODY = "readers", "*"


def readers(path: tuple[str | Local, ...] | None, arg: Expr, span: Span, env: TypeEnv) -> Expr:
    steps = [step for step in path or () if isinstance(step, str)]
    if path is None or len(steps) != len(path) or not steps:
        if arg.type != UNKNOWN and not env.place.open:
            env.place.findings.report(
                codes.WRONG_ARGUMENTS, arg.span, "`readers` takes the path of a tool argument", "",
                "such as `tool.args.body`",
            )  # fmt: skip
        return Const(value=None, type=UNKNOWN, span=span)
    context = Root(name="context", type=env.place.context, span=span)
    stated = Attribute(base=context, name=READERS, type=JSON, span=span)
    key = Const(value=pointer(steps), type=STRING, span=span)
    return Expect(operand=Lookup(base=stated, key=key, type=JSON, span=span), type=SetT(STRING), span=span)


def is_readers(expr: Expr) -> bool:
    match expr:
        case Expect(operand=Lookup(base=Attribute(base=Root(name="context"), name=name))):
            return name == READERS
    return False


def pointer(steps: list[str]) -> str:
    return "".join(f"/{step.replace('~', '~0').replace('/', '~1')}" for step in steps)
