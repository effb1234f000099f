"""A typed expression as the tree of a `.pol` text: the way back from the checker's result to text.

In: an expression and the Words of the place that the text is for. Out: a tree that the checker turns into the same
expression, or the formatter's text for it; Unwritable for a constant that has no literal.

An Expect has no text of its own, because most often the surrounding operator requires the type. With `explicit`, it is
the call of a definition, which `definition` gives.
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
from policyengine.model.fine_time import is_fine
from policyengine.model.types import DURATION, EntityT, ListT, Prim, SetT, Type
from policyengine.model.values import INT_MAX, INT_MIN, Entity, to_json
from policyengine.syntax import ast, synthetic
from policyengine.syntax.format import format_type, one_line
from policyengine.syntax.quoting import is_identifier
from policyengine.syntax.synthetic import NOWHERE

_MILLISECOND = timedelta(milliseconds=1)
_ROOTS = frozenset({"principal", "resource", "action", "context"})
_METHODS = frozenset({"in_range"})


class Unwritable(Exception):
    """A constant without a literal, a type that a definition cannot require, or a variable from elsewhere."""


@dataclass(frozen=True, slots=True)
class Words:
    """The meaning of names where a text is to be. `resource` is the name of the resource; `taken` are names that a
    variable must not have; `locals` are the enclosing variables, by slot."""

    resource: str = "resource"
    context: frozenset[str] = frozenset()
    explicit: bool = False
    locals: Mapping[int, str] = field(default_factory=dict)

    def binding(self, name: str, slot: int) -> tuple[str, Words]:
        """A free name for a variable, and the Words within its scope."""
        taken = {*self.locals.values(), *self.context, *_ROOTS, self.resource}
        free, number = name, 2
        while free in taken:
            free, number = f"{name}_{number}", number + 1
        return free, replace(self, locals={**self.locals, slot: free})


def definition(type_: Type) -> ast.Define:
    """The definition that expects a value of the type. Raises Unwritable."""
    param = _param(type_)
    name = "as_" + "".join(c if c.isalnum() else "_" for c in format_type(param)).strip("_").lower()
    field_ = ast.FieldDecl(name=synthetic.name("value"), optional=False, type=param, span=NOWHERE)
    return ast.Define(name=synthetic.name(name), params=(field_,), body=synthetic.ref("value"), span=NOWHERE)


def _param(type_: Type) -> ast.TypeExpr:
    match type_:
        case Prim(name=name):
            return ast.NamedType(name=name, span=NOWHERE)
        case SetT(element) | ListT(element):
            collection = synthetic.name("Set" if isinstance(type_, SetT) else "List")
            return ast.GenericType(name=collection, argument=_param(element), span=NOWHERE)
        case EntityT(names) if len(names) == 1:
            [one] = names
            if is_identifier(one):
                return ast.NamedType(name=one, span=NOWHERE)
            return ast.EntityType(name=synthetic.name(one), span=NOWHERE)
    raise Unwritable


def written(expr: Expr, words: Words) -> str:
    """The text of an expression, in one line. Raises Unwritable."""
    return one_line(tree(expr, words))


def tree(expr: Expr, words: Words) -> ast.Expr:
    """The tree of an expression. Raises Unwritable."""
    match expr:
        case Const(value=value):
            return constant(value)
        case Root(name=name):
            return synthetic.ref(words.resource if name == "resource" else name)
        case Local():
            return _variable(expr, words)
        case Attribute(base=base, name=name) | Recorded(base=base, name=name):
            return _attribute(base, name, words)
        case Identity(base=Root(name="action")):
            return synthetic.dotted(synthetic.ref("action"), ["name"])
        case Identity(base=base):
            return synthetic.dotted(tree(base, words), ["id"])
        case EntityOf(name=name, id=id_):
            return ast.EntityOf(type=synthetic.name(name), id=tree(id_, words), span=NOWHERE)
        case Has(base=base, name=name):
            return synthetic.has(tree(base, words), name)
        case Refine(operand=operand):
            return tree(operand, words)
        case Arguments():
            raise Unwritable
        case Lookup(base=base, key=key):
            return ast.Lookup(base=tree(base, words), key=tree(key, words), span=NOWHERE)
        case HasKey(base=base, key=key):
            return ast.HasKey(base=tree(base, words), key=tree(key, words), span=NOWHERE)
        case Expect(operand=operand, type=type_):
            inner = tree(operand, words)
            return synthetic.call(definition(type_).name.text, [inner]) if words.explicit else inner
        case Not(operand=operand):
            return synthetic.unary("not", tree(operand, words))
        case And(items=items):
            return synthetic.joined("and", [tree(item, words) for item in items])
        case Or(items=items):
            return synthetic.joined("or", [tree(item, words) for item in items])
        case If(condition=condition, then=then, otherwise=otherwise):
            a, b, c = (tree(part, words) for part in (condition, then, otherwise))
            return ast.Conditional(condition=a, then=b, otherwise=c, span=NOWHERE)
        case Equal(left=left, right=right, negated=negated):
            return synthetic.binary("!=" if negated else "==", tree(left, words), tree(right, words))
        case Compare(op=op, left=left, right=right) | Arithmetic(op=op, left=left, right=right):
            return synthetic.binary(op, tree(left, words), tree(right, words))
        case Negate(operand=operand):
            return synthetic.unary("-", tree(operand, words))
        case Contains(item=left, collection=right) | Within(entity=left, target=right):
            return synthetic.binary("in", tree(left, words), tree(right, words))
        case Is(entity=entity, names=names):
            of = tree(entity, words)
            kinds: list[ast.Expr] = [
                ast.IsOp(base=of, type=synthetic.name(name), span=NOWHERE) for name in sorted(names)
            ]
            return synthetic.joined("or", kinds)
        case Like(operand=operand, pattern=pattern):
            return synthetic.like(tree(operand, words), pattern)
        case Quantifier():
            return _quantifier(expr, words)
        case Call(function=function, args=args):
            return _call(function, [tree(arg, words) for arg in args])
        case Sources(path=path):
            return synthetic.call("sources", [_argument(path, words)])
        case Collection(items=items):
            return synthetic.items(tree(item, words) for item in items)
        case _:
            assert_never(expr)


def _quantifier(expr: Quantifier, words: Words) -> ast.Expr:
    collection, body = tree(expr.collection, words), expr.body
    if not any(isinstance(node, Local) and node.slot == expr.slot for node in walk(body)):
        return _counted(expr, collection, tree(body, words))
    name, inside = words.binding(expr.variable, expr.slot)
    return ast.Quantifier(
        kind=expr.kind, variable=synthetic.name(name), collection=collection, body=tree(body, inside), span=NOWHERE
    )


def _counted(expr: Quantifier, collection: ast.Expr, body: ast.Expr) -> ast.Expr:
    """A quantifier whose variable is no longer used, for example because the value that read it is known."""
    count, zero = synthetic.call("size", [collection]), synthetic.number(0)
    if expr.kind == "sum":
        none = synthetic.duration(timedelta(0)) if expr.body.type == DURATION else zero
        empty, total = synthetic.binary("==", count, zero), synthetic.binary("*", count, body)
        return ast.Conditional(condition=empty, then=none, otherwise=total, span=NOWHERE)
    sign, word = ("!=", "and") if expr.kind == "any" else ("==", "or")
    return synthetic.binary(word, synthetic.binary(sign, count, zero), body)


def literal(value: Any) -> str:
    """The text of a constant. Raises Unwritable."""
    return one_line(constant(value))


def constant(value: Any) -> ast.Expr:
    """A constant, as an expression. Raises Unwritable."""
    match value:
        case None:
            return synthetic.null()
        case bool():
            return synthetic.boolean(value)
        case str():
            return synthetic.text(value)
        case int() if INT_MIN <= value <= INT_MAX:
            return synthetic.number(value)
        case float():
            return synthetic.number(value)
        case Entity(uid=uid):
            return synthetic.entity(uid.type, uid.id)
        case tuple():
            return synthetic.items(map(constant, value))
        case datetime():
            return synthetic.call("time", [synthetic.text(to_json(value))])
        case timedelta() if value >= timedelta(0) and not is_fine(value) and not value % _MILLISECOND:
            return synthetic.duration(value)
        case IPv4Address() | IPv6Address():
            return synthetic.call("ip", [synthetic.text(str(value))])
    raise Unwritable


def _attribute(base: Expr, name: str, words: Words) -> ast.Expr:
    hidden = name in words.locals.values() or name in _ROOTS or name == words.resource
    if isinstance(base, Root) and base.name == "context" and name in words.context and not hidden:
        return synthetic.ref(name)
    return synthetic.dotted(tree(base, words), [name])


def _call(function: str, args: list[ast.Expr]) -> ast.Expr:
    if function in _METHODS:
        return ast.MethodCall(base=args[0], name=synthetic.name(function), args=tuple(args[1:]), span=NOWHERE)
    return synthetic.call(function, args)


def _variable(local: Local, words: Words) -> ast.Ref:
    name = words.locals.get(local.slot)
    if name is None:
        raise Unwritable
    return synthetic.ref(name)


def _argument(path: tuple[str | Local, ...], words: Words) -> ast.Expr:
    """A tool argument, or a part of an element of one."""
    start = synthetic.dotted(synthetic.ref(words.resource), ["args"])
    for step in path:
        start = _variable(step, words) if isinstance(step, Local) else synthetic.dotted(start, [step])
    return start
