"""What a generated function reads first, once for all its rules."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from policyengine.compile.emit import Emitter
from policyengine.compile.pytree import assign, call, load, place
from policyengine.compile.type_tests import scalar_test
from policyengine.ir import nodes as ir
from policyengine.ir.nodes import Rule
from policyengine.ir.walk import children, walk
from policyengine.model.types import BOOL, INT, NUMBER, STRING, ListT, SetT, Type
from policyengine.model.values import Uid

HOISTED = (STRING, BOOL, INT, NUMBER, SetT(STRING), ListT(STRING))


@dataclass(frozen=True, slots=True)
class HoistedRead:
    """An attribute of the principal or the resource, and the name that it is read to."""

    name: str
    attribute: ir.Attribute


def ancestor_roots(rules: Iterable[Rule]) -> frozenset[str]:
    """The roots whose ancestors some rule always needs, or several rules may need: for those, one search at the top
    pays."""
    looks: Counter[str] = Counter()
    for rule in rules:
        for root, scope in (("resource", rule.head.resource), ("principal", rule.head.principal)):
            if scope.within is not None:
                looks[root] += 2
        for node, always in _visits(rule.condition, _is_open(rule)):
            if isinstance(node, ir.Within) and isinstance(node.entity, ir.Root):
                # Two stands for "always": a single search that may not happen is left where it is.
                looks[node.entity.name] += 2 if always else 1
    return frozenset(root for root, count in looks.items() if count > 1)


def targets(rules: Iterable[Rule], root: str) -> frozenset[Uid] | None:
    """The entities that rules search for above the principal or the resource. None if some of these are only known with
    the request."""
    uids: set[Uid] = set()
    for rule in rules:
        uids |= (rule.head.resource if root == "resource" else rule.head.principal).within or frozenset()
        for node in walk(rule.condition):
            if isinstance(node, ir.Within) and isinstance(node.entity, ir.Root) and node.entity.name == root:
                if not isinstance(node.target, ir.Const):
                    return None
                values = node.target.value if isinstance(node.target.value, tuple) else (node.target.value,)
                uids |= {entity.uid for entity in values}
    return frozenset(uids)


def hoist(rules: Sequence[Rule], emitter: Emitter, more: Iterable[ir.Attribute] = ()) -> tuple[HoistedRead, ...]:
    """Chooses the attributes that some rule always reads or that several read. From now on the emitter uses their
    names."""
    uses: Counter[ir.Attribute] = Counter()
    certain: set[ir.Attribute] = set()
    tested: set[tuple[ir.Expr, str]] = set()
    for rule in rules:
        for node, always in _visits(rule.condition, _is_open(rule)):
            if isinstance(node, ir.Has):
                tested.add((node.base, node.name))
            if isinstance(node, ir.Attribute) and _hoistable(node, emitter):
                uses[node] += 1
                if always:
                    certain.add(node)
    for node in more:
        if _hoistable(node, emitter):
            uses[node] += 1
            certain.add(node)
    # A read costs every request, and a request without the attribute takes the slow way. So an attribute is not read
    # for one rule that may not need it, nor if some rule tests with `has` whether it is there.
    wanted = [n for n, count in uses.items() if (n in certain or count > 1) and (n.base, n.name) not in tested]
    reads = tuple(HoistedRead(f"v{number}", node) for number, node in enumerate(wanted))
    emitter.loads = {read.attribute: read.name for read in reads}
    return reads


def read(reads: Iterable[HoistedRead], emitter: Emitter) -> list[ast.stmt]:
    """Statements that read and guard attributes."""
    return [statement for one in reads for statement in _read(one.attribute, one.name, emitter)]


def _is_open(rule: Rule) -> bool:
    """Whether the condition is evaluated first: a scope that names entities may end a rule before it."""
    scopes = (rule.head.resource, rule.head.principal)
    return all(scope.entities is None and scope.within is None for scope in scopes)


def _hoistable(node: ir.Attribute, emitter: Emitter) -> bool:
    root = node.base
    if not isinstance(root, ir.Root) or root.name not in ("principal", "resource") or node.type not in HOISTED:
        return False
    if root.name in emitter.prepared.roots:
        return False
    return node.owners is None or emitter.site.type_of(root.name) in node.owners


def _visits(expr: ir.Expr, always: bool) -> Iterable[tuple[ir.Expr, bool]]:
    """Every node of an expression, and whether it is always evaluated."""
    yield expr, always
    match expr:
        case ir.And(items=items) | ir.Or(items=items):
            for number, item in enumerate(items):
                yield from _visits(item, always and number == 0)
        case ir.If(condition=condition, then=then, otherwise=otherwise):
            yield from _visits(condition, always)
            yield from _visits(then, False)
            yield from _visits(otherwise, False)
        case ir.Quantifier(collection=collection, body=body):
            yield from _visits(collection, always)
            yield from _visits(body, False)
        case _:
            for child in children(expr):
                yield from _visits(child, always)


def _read(node: ir.Attribute, name: str, emitter: Emitter) -> list[ast.stmt]:
    """`name = raw`, then a guard that raises."""
    body: list[ast.stmt] = [assign(name, place(emitter.raw(node), node.span))]
    test = scalar_test(load(name), load(name), node.type)
    if test is None:
        body.append(_guard_strings(name, node.type))
    else:
        body.append(ast.If(ast.UnaryOp(ast.Not(), test), [ast.Expr(call("bad"))], []))
    return body


def _guard_strings(name: str, type_: Type) -> ast.stmt:
    """Lists, the usual case in requests, are tested in place; the guard function does the rest."""
    check = call("strings" if isinstance(type_, SetT) else "ordered_strings", load(name))
    return ast.If(ast.UnaryOp(ast.Not(), call("plain_texts", load(name))), [assign(name, check)], [])
