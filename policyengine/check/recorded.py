"""Operands that only the entity source may supply: the folder of `path_under`, and the hosts of `url_host(...) in`.

In: a typed expression. Out: the same expression, read from the records of the source alone; None if a request supplies
any part of it. A caller that fills in an argument could otherwise fill in the folder that must contain it as well.
"""

from __future__ import annotations

from dataclasses import replace

from policyengine.check.environment import UNKNOWN, Findings, TypeEnv
from policyengine.diagnostics import codes
from policyengine.ir.nodes import Attribute, Collection, Const, EntityOf, Expect, Expr, Local, Recorded, Refine, Root
from policyengine.model.types import EntityT

_ARGS = "args"


def from_source(what: str, expr: Expr, otherwise: str, env: TypeEnv) -> Expr:
    """The value as the source has it, or a constant; reports a finding if it may come from anywhere else."""
    value = recorded(expr, env.place.findings)
    if value is None and expr.type != UNKNOWN:
        env.place.findings.report(
            codes.NOT_FROM_SOURCE, expr.span, f"{what} must not come from the request", "",
            f"{otherwise}, or read an attribute of an entity, such as `tenant.{_example(expr)}`: then only what the "
            "entity source says of it counts",
        )  # fmt: skip
    return value or expr


def _example(expr: Expr) -> str:
    return expr.name if isinstance(expr, Attribute) else "root"


def recorded(expr: Expr, findings: Findings) -> Expr | None:
    """The value as the source has it; None if it may come from anywhere else."""
    match expr:
        case Const() | Recorded():
            return expr
        case Refine(operand=operand) | Expect(operand=operand):
            inner = recorded(operand, findings)
            return inner and replace(expr, operand=inner)
        case Collection(items=items):
            each = [recorded(item, findings) for item in items]
            return None if None in each else replace(expr, items=tuple(each))  # type: ignore[arg-type]
        case Local(slot=slot):
            return expr if _is_recorded(slot, findings) else None
        case Attribute(base=base, name=name, owners=owners) if isinstance(base.type, EntityT):
            if name == _ARGS and "Tool" in base.type.names:
                return None
            holder = _holder(base, findings)
            return holder and Recorded(base=holder, name=name, owners=owners, type=expr.type, span=expr.span)
        case Attribute(base=base, name=name, owners=owners) if not isinstance(base, Root):
            record = recorded(base, findings)
            return record and Attribute(base=record, name=name, owners=owners, type=expr.type, span=expr.span)
    return None


def _holder(expr: Expr, findings: Findings) -> Expr | None:
    """An entity that the request names by its place, or that the source names."""
    match expr:
        case Root() | EntityOf() | Attribute(base=Root(name="context")):
            return expr
    return recorded(expr, findings)


def _is_recorded(slot: int, findings: Findings) -> bool:
    """Whether a variable stands for an element of something in the source; if so, it must be read from there."""
    collection = findings.collections.get(slot)
    if collection is None or recorded(collection, findings) is None:
        return False
    findings.recorded.add(slot)
    return True
