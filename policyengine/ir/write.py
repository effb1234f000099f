"""A typed expression as `.pol` text: the way back from what the checker made of a text.

In: an expression and the Words of the place where the text is to stand. Out: text that the checker makes the same
expression of; Unwritable for a constant that has no literal. It has more parentheses than it needs: the formatter takes
out what is too much.

An Expect has no text of its own, as most often the operator around it asks for the type. With `explicit`, it is the
call of a definition, and `definition` says which.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import Any, assert_never

from policyengine.ir.nodes import (
    And,
    Arguments,
    Arithmetic,
    Attribute,
    Call,
    Collection,
    Compare,
    Const,
    Contains,
    EntityOf,
    Equal,
    Expect,
    Expr,
    Has,
    HasKey,
    Identity,
    If,
    Is,
    Like,
    Local,
    Lookup,
    Negate,
    Not,
    Or,
    Quantifier,
    Recorded,
    Refine,
    Root,
    Sources,
    Within,
)
from policyengine.ir.walk import walk
from policyengine.model.moments import is_fine
from policyengine.model.types import DURATION, EntityT, ListT, Prim, SetT, Type
from policyengine.model.values import INT_MAX, INT_MIN, Entity, duration_text, to_json
from policyengine.syntax.spelling import is_identifier, string

_MILLISECOND = timedelta(milliseconds=1)
_ROOTS = frozenset({"principal", "resource", "action", "context"})
_METHODS = frozenset({"in_range"})
# What binds tightest as it is written.
_WHOLE = Root | Local | Attribute | Recorded | EntityOf | Lookup | Identity | Collection | Call | Sources | Expect


class Unwritable(Exception):
    """A constant that has no literal, or a type that a definition cannot ask for."""


@dataclass(frozen=True, slots=True)
class Words:
    """What names mean where a text is to stand. `resource` is what the resource is called; `taken` are the names that a
    variable must not have; `locals` are the variables around, by slot."""

    resource: str = "resource"
    context: frozenset[str] = frozenset()
    explicit: bool = False
    locals: Mapping[int, str] = field(default_factory=dict)

    def binding(self, name: str, slot: int) -> tuple[str, Words]:
        """A free name for a variable, and the words inside."""
        taken = {*self.locals.values(), *self.context, *_ROOTS, self.resource}
        free, number = name, 2
        while free in taken:
            free, number = f"{name}_{number}", number + 1
        return free, replace(self, locals={**self.locals, slot: free})


def definition(type_: Type) -> tuple[str, str]:
    """The name of the definition that expects a value of the type, and its text. Raises Unwritable."""
    shown = _param(type_)
    name = "as_" + "".join(c if c.isalnum() else "_" for c in shown).strip("_").lower()
    return name, f"define {name}(value: {shown}): value"


def _param(type_: Type) -> str:
    match type_:
        case Prim(name=name):
            return name
        case SetT(element) | ListT(element):
            return f"{'Set' if isinstance(type_, SetT) else 'List'}<{_param(element)}>"
        case EntityT(names) if len(names) == 1:
            [one] = names
            return one if is_identifier(one) else f"entity {string(one)}"
    raise Unwritable


def written(expr: Expr, words: Words) -> str:
    """The text of an expression. Raises Unwritable."""
    match expr:
        case Const(value=value):
            return literal(value)
        case Root(name=name):
            return words.resource if name == "resource" else name
        case Local(slot=slot):
            return words.locals[slot]
        case Attribute(base=base, name=name) | Recorded(base=base, name=name):
            return _attribute(base, name, words)
        case Identity(base=Root(name="action")):
            return "action.name"
        case Identity(base=base):
            return f"{_operand(base, words)}.id"
        case EntityOf(name=name, id=id_):
            return f"{_name(name)}::({written(id_, words)})"
        case Has(base=base, name=name):
            return f"{_operand(base, words)} has {_name(name)}"
        case Refine(operand=operand):
            return written(operand, words)
        case Arguments():
            raise Unwritable
        case Lookup(base=base, key=key):
            return f"{_operand(base, words)}[{written(key, words)}]"
        case HasKey(base=base, key=key):
            return f"{_operand(base, words)} has [{written(key, words)}]"
        case Expect(operand=operand, type=type_):
            inner = written(operand, words)
            return f"{definition(type_)[0]}({inner})" if words.explicit else inner
        case Not(operand=operand):
            return f"not {_operand(operand, words)}"
        case And(items=items):
            return " and ".join(_operand(item, words) for item in items)
        case Or(items=items):
            return " or ".join(_operand(item, words) for item in items)
        case If(condition=condition, then=then, otherwise=otherwise):
            a, b, c = (_operand(part, words) for part in (condition, then, otherwise))
            return f"if {a} then {b} else {c}"
        case Equal(left=left, right=right, negated=negated):
            return _infix(left, "!=" if negated else "==", right, words)
        case Compare(op=op, left=left, right=right) | Arithmetic(op=op, left=left, right=right):
            return _infix(left, op, right, words)
        case Negate(operand=operand):
            # A number behind the sign would be a constant.
            return f"-({written(operand, words)})"
        case Contains(item=left, collection=right) | Within(entity=left, target=right):
            return _infix(left, "in", right, words)
        case Is(entity=entity, names=names):
            return " or ".join(f"{_operand(entity, words)} is {_name(name)}" for name in sorted(names))
        case Like(operand=operand, pattern=pattern):
            return f"{_operand(operand, words)} like {string('*'.join(pattern))}"
        case Quantifier(kind=kind, variable=variable, slot=slot, collection=collection, body=body):
            if not any(isinstance(node, Local) and node.slot == slot for node in walk(body)):
                return _counted(kind, collection, body, words)
            name, inside = words.binding(variable, slot)
            if kind == "sum":
                return f"sum({written(body, inside)} for {name} in {written(collection, words)})"
            return f"{kind} {name} in {_operand(collection, words)}: {written(body, inside)}"
        case Call(function=function, args=args):
            return _call(function, [written(arg, words) for arg in args])
        case Sources(path=path):
            return f"sources({_argument(path, words)})"
        case Collection(items=items):
            return f"[{', '.join(written(item, words) for item in items)}]"
        case _:
            assert_never(expr)


def _counted(kind: str, collection: Expr, body: Expr, words: Words) -> str:
    """A quantifier whose variable plays no part any more, as where the value of what read it is known."""
    if kind == "sum":
        count, zero = f"size({written(collection, words)})", "0s" if body.type == DURATION else "0"
        return f"(if {count} == 0 then {zero} else {count} * {_operand(body, words)})"
    sign, word = ("!=", "and") if kind == "any" else ("==", "or")
    return f"size({written(collection, words)}) {sign} 0 {word} {_operand(body, words)}"


def literal(value: Any) -> str:
    """A constant, as an expression. Raises Unwritable."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return string(value)
        case int() if INT_MIN <= value <= INT_MAX:
            return str(value)
        case float():
            return repr(value)
        case Entity(uid=uid):
            return f"{_name(uid.type)}::{string(uid.id)}"
        case tuple():
            return f"[{', '.join(map(literal, value))}]"
        case datetime():
            return f"time({string(to_json(value))})"
        case timedelta() if value >= timedelta(0) and not is_fine(value) and not value % _MILLISECOND:
            return duration_text(value)
        case IPv4Address() | IPv6Address():
            return f"ip({string(str(value))})"
    raise Unwritable


def _attribute(base: Expr, name: str, words: Words) -> str:
    if isinstance(base, Root) and base.name == "context" and name in words.context:
        hidden = name in words.locals.values() or name in _ROOTS or name == words.resource
        return f"context{_member(name)}" if hidden else name
    return f"{_operand(base, words)}{_member(name)}"


def _call(function: str, args: list[str]) -> str:
    if function in _METHODS:
        return f"({args[0]}).{function}({', '.join(args[1:])})"
    return f"{function}({', '.join(args)})"


def _argument(path: tuple[str | Local, ...], words: Words) -> str:
    """A tool argument, or what is inside an element of one."""
    start = f"{words.resource}.args"
    for step in path:
        start = words.locals[step.slot] if isinstance(step, Local) else start + _member(step)
    return start


def _infix(left: Expr, op: str, right: Expr, words: Words) -> str:
    return f"{_operand(left, words)} {op} {_operand(right, words)}"


def _operand(expr: Expr, words: Words) -> str:
    """The text in parentheses, unless it binds tightest anyway."""
    text = written(expr, words)
    inner = expr
    while isinstance(inner, Refine) or (isinstance(inner, Expect) and not words.explicit):
        inner = inner.operand
    whole = isinstance(inner, _WHOLE)
    return text if whole or (isinstance(inner, Const) and not text.startswith("-")) else f"({text})"


def _name(name: str) -> str:
    return name if is_identifier(name) else string(name)


def _member(name: str) -> str:
    return f".{name}" if is_identifier(name) else f"[{string(name)}]"
