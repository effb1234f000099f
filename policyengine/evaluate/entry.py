"""The way in for a whole request, as one Python function.

It checks the outline of the request, asks the rules that every request needs, looks up what the tables add, and
returns the
decision that is remembered for the outcome. It raises where anything is unusual or nothing is remembered yet.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from policyengine.evaluate.climb import hierarchies
from policyengine.evaluate.codegen import PARAMETERS, ROOTS, ask
from policyengine.evaluate.emit import Emitter, Site
from policyengine.evaluate.hoist import climbs, hoist, targets
from policyengine.evaluate.index import Dimension
from policyengine.evaluate.prepare import Prepared, Rows
from policyengine.evaluate.pyfunction import function, module
from policyengine.evaluate.pytree import all_of, assign, call, class_of, load, subscript
from policyengine.ir import nodes as ir
from policyengine.ir.nodes import Rule
from policyengine.model.decision import Decision
from policyengine.model.entities import World
from policyengine.model.values import Uid

# Up to this many rules, a list of all outcomes is short enough to be indexed by the mask.
LISTED = 8
# Takes a principal, a resource and a context or None, and gives the decision.
Entry = Callable[[Any, Any, Any], Decision]


class Lookup(Protocol):
    """A table of blocks of rules by the value of a key. A block has `ask`, which takes PARAMETERS and gives a tuple:
    its number with the mask of its rules that held, if any did."""

    @property
    def dimension(self) -> Dimension: ...

    @property
    def rows(self) -> Mapping[Any, Any]: ...


def entry_function(
    rules: Sequence[Rule], tables: Sequence[Lookup], site: Site, world: World, env: Mapping[str, Any]
) -> Entry:
    """`env` has the world, `outcomes` (decisions by mask, a list where there are few) and `decisions` (by mask and
    hits)."""
    tree, constants, prepared = entry_tree(rules, tables, site)
    rows: dict[str, Any] = {}
    for root, items in prepared.items.items():
        if items:
            of_root = Rows(root, items, site.type_of(root), site.action, world)
            rows |= {f"rows_{root}": of_root.made, f"find_{root}": of_root.find}
    made: Entry = function(tree, {**env, **constants, **rows})
    return made


def entry_tree(
    rules: Sequence[Rule], tables: Sequence[Lookup], site: Site
) -> tuple[ast.Module, dict[str, Any], Prepared]:
    """The function as a tree, the constants it names, and what is prepared for it. There are two ways through it: the
    short one is for requests that only name those entities of whose type the world knows some."""
    named = frozenset(root for root in ROOTS if site.type_of(root) in site.recorded)
    long = Emitter(site)
    rest = _way(rules, tables, long)
    if named:
        short = Emitter(site, prepared=Prepared(named), constants=long.constants)
        body = _way(rules, tables, short)
        used = _names(body)
        for root in sorted(named):
            if f"above_{root}" in used:
                short.prepared.add_above(root)
        rest = [*_if_named(short.prepared, body), *rest]
    else:
        short = long
    body = [*_outline(_names(rest)), *rest]
    return module("decide", ("principal", "resource", "context"), body), long.constants, short.prepared


def _way(rules: Sequence[Rule], tables: Sequence[Lookup], emitter: Emitter) -> list[ast.stmt]:
    """From the request's entities to the decision."""
    named = emitter.prepared.roots
    climbed = {t.dimension[1] for t in tables if isinstance(t.dimension, tuple) and t.dimension[0] == "above"}
    emitter.climbed = climbs(rules) | climbed | named
    emitter.targets = {root: _targets(rules, tables, root) for root in ROOTS}
    keys = [t.dimension for t in tables if isinstance(t.dimension, ir.Attribute)]
    body = [*hierarchies(emitter.climbed - named, emitter), *hoist(rules, emitter, keys), *ask(rules, emitter)]
    if tables:
        body += _lookups(tables, emitter)
    return [*_known(_names(body)), *body, *_answer()]


def _targets(rules: Sequence[Rule], tables: Sequence[Lookup], root: str) -> frozenset[Uid] | None:
    """All that the rules and the tables ask of the hierarchy above a root."""
    found = targets(rules, root)
    keys = (key for table in tables if table.dimension == ("above", root) for key in table.rows)
    return found if found is None else found | {Uid(*key) for key in keys}


def _if_named(prepared: Prepared, body: list[ast.stmt]) -> list[ast.stmt]:
    """The short way, for when the entities have no more than type and id, and have a row."""
    roots = [root for root in sorted(prepared.roots) if prepared.items[root]]
    if not roots:
        return []
    bare: list[ast.expr] = [ast.Compare(call("len", load(root)), [ast.Eq()], [ast.Constant(2)]) for root in roots]
    ids = {"principal": load("pid"), "resource": load("rid")}
    made = [assign(f"row_{r}", ast.Subscript(load(f"rows_{r}"), ids[r], ast.Load())) for r in roots]
    found = [assign(f"row_{r}", call(f"find_{r}", ids[r])) for r in roots]
    rows = ast.Try(list(made), [ast.ExceptHandler(load("KeyError"), None, list(found))], [], [])
    there: list[ast.expr] = [ast.Compare(load(f"row_{root}"), [ast.IsNot()], [ast.Constant(None)]) for root in roots]
    unpacked: list[ast.stmt] = []
    for root in roots:
        names: list[ast.expr] = [ast.Name(name, ast.Store()) for name in prepared.items[root].values()]
        unpacked.append(ast.Assign([ast.Tuple(names, ast.Store())], load(f"row_{root}")))
    return [ast.If(all_of(bare), [rows, ast.If(all_of(there), [*unpacked, *body], [])], [])]


def _names(body: Sequence[ast.stmt]) -> frozenset[str]:
    return frozenset(node.id for part in body for node in ast.walk(part) if isinstance(node, ast.Name))


def _outline(used: frozenset[str]) -> list[ast.stmt]:
    """Raises unless the request is made of plain dicts with textual ids, and no agent takes part. That the types are
    right was settled when the function was chosen by them."""
    # Most contexts are empty, and that is told faster than what is not in them.
    agent = all_of([load("context"), ast.Compare(ast.Constant("agent"), [ast.In()], [load("context")])])
    given = ast.Compare(load("context"), [ast.IsNot()], [ast.Constant(None)])
    odd = ast.BoolOp(ast.Or(), [_is_not("context", "dict"), agent])
    absent: list[ast.stmt] = [assign("context", load("nothing"))] if "context" in used else []
    return [
        _refuse(ast.BoolOp(ast.Or(), [_is_not("principal", "dict"), _is_not("resource", "dict")])),
        assign("pid", subscript(load("principal"), "id")),
        assign("rid", subscript(load("resource"), "id")),
        _refuse(ast.BoolOp(ast.Or(), [_is_not("pid", "str"), _is_not("rid", "str")])),
        ast.If(given, [_refuse(odd)], absent),
    ]


def _known(used: frozenset[str]) -> list[ast.stmt]:
    """Looks up what the world knows of the principal and the resource."""
    body: list[ast.stmt] = []
    for root, id_ in (("principal", "pid"), ("resource", "rid")):
        if f"known_{root}" not in used:
            continue
        get = ast.Attribute(load(f"records_{root}"), "get", ast.Load())
        body.append(assign(f"known_{root}", ast.Call(get, [load(id_), load("nothing")], [])))
    return body


def _refuse(test: ast.expr) -> ast.stmt:
    return ast.If(test, [ast.Expr(call("bad"))], [])


def _is_not(name: str, kind: str) -> ast.expr:
    return ast.Compare(class_of(load(name)), [ast.IsNot()], [load(kind)])


def _answer() -> list[ast.stmt]:
    """Returns the decision for the mask in `m`."""
    found = ast.Subscript(load("outcomes"), load("m"), ast.Load())
    unknown = ast.Compare(load("d"), [ast.Is()], [ast.Constant(None)])
    return [assign("d", found), _refuse(unknown), ast.Return(load("d"))]


def _lookups(tables: Sequence[Lookup], emitter: Emitter) -> list[ast.stmt]:
    """Asks the rules that the tables give for this request. If any of them hold, returns the decision for the mask and
    these hits."""
    body: list[ast.stmt] = []
    for table in tables:
        rows = emitter.constant(table.rows)
        match table.dimension:
            case ("above", root):
                above: ast.expr = load("above_" + root)
                keys = emitter.constant(frozenset(table.rows))
                apart = ast.Call(ast.Attribute(keys, "isdisjoint", ast.Load()), [above], [])
                ask = _ask(ast.Subscript(rows, load("k"), ast.Load()), emitter)
                each = ast.For(ast.Name("k", ast.Store()), ast.BinOp(keys, ast.BitAnd(), above), ask, [])
                # Most often there is nothing, and that is told fastest.
                body.append(ast.If(all_of([above, ast.UnaryOp(ast.Not(), apart)]), [each], []))
                type_ = emitter.site.type_of(root)
                if any(key[0] == type_ for key in table.rows):
                    own = ast.Tuple([ast.Constant(type_), load("pid" if root == "principal" else "rid")], ast.Load())
                    body += _get(rows, own, emitter)
            case ("id", "action"):
                body += _get(rows, ast.Constant(emitter.site.action), emitter)
            case ("id", root):
                body += _get(rows, load("pid" if root == "principal" else "rid"), emitter)
            case ir.Attribute():
                body += _get(rows, emitter.emit(table.dimension), emitter)
    none = assign("h", ast.Tuple([], ast.Load()))
    found = ast.Tuple([load("m"), call("in_order", load("h"))], ast.Load())
    answer = ast.If(load("h"), [ast.Return(ast.Subscript(load("decisions"), found, ast.Load()))], [])
    match body:
        case [ast.If(test=test, body=asked)]:
            return [ast.If(test, [none, *asked, answer], [])]
    return [none, *body, answer]


def _get(rows: ast.expr, key: ast.expr, emitter: Emitter) -> list[ast.stmt]:
    there = ast.Compare(key, [ast.In()], [rows])
    return [ast.If(there, _ask(ast.Subscript(rows, key, ast.Load()), emitter), [])]


def _ask(block: ast.expr, emitter: Emitter) -> list[ast.stmt]:
    """`h += block.ask(...)`: the block's number and mask, if any of its rules held."""
    request = [*map(load, PARAMETERS[:-2]), *map(emitter.known, ROOTS)]
    asked = ast.Call(ast.Attribute(block, "ask", ast.Load()), request, [])
    return [ast.AugAssign(ast.Name("h", ast.Store()), ast.Add(), asked)]
