"""The way in for a whole request, as one Python function.

It checks the outline of the request, asks the rules that every request needs, looks up what the tables add, and
returns the
decision that is remembered for the outcome. It raises where anything is unusual or nothing is remembered yet.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from policyengine.evaluate.codegen import PARAMETERS, ask
from policyengine.evaluate.emit import Emitter, Site, assign, call, class_of, load, subscript
from policyengine.evaluate.hoist import climbs, hierarchies, hoist
from policyengine.evaluate.index import Dimension
from policyengine.evaluate.pyfunction import function, module
from policyengine.ir import nodes as ir
from policyengine.ir.nodes import Rule

# Up to this many rules, a list of all outcomes is short enough to be indexed by the mask.
LISTED = 8
# Takes a principal, a resource and a context or None, and gives the decision.
Entry = Callable[[Any, Any, Any], Any]


class Lookup(Protocol):
    """A table of blocks of rules by the value of a key. A block has `ask`, which takes PARAMETERS and gives a tuple:
    its number with the mask of its rules that held, if any did."""

    @property
    def dimension(self) -> Dimension: ...

    @property
    def rows(self) -> Mapping[Any, Any]: ...


def entry_function(rules: Sequence[Rule], tables: Sequence[Lookup], site: Site, env: Mapping[str, Any]) -> Entry:
    """`env` has the world, `outcomes` (decisions by mask, a list where there are few) and `decisions` (by mask and
    hits)."""
    tree, constants = entry_tree(rules, tables, site)
    made: Entry = function(tree, {**env, **constants})
    return made


def entry_tree(rules: Sequence[Rule], tables: Sequence[Lookup], site: Site) -> tuple[ast.Module, dict[str, Any]]:
    """The function as a tree, and the constants it names."""
    climbed = {t.dimension[1] for t in tables if isinstance(t.dimension, tuple) and t.dimension[0] == "above"}
    emitter = Emitter(site, climbed=climbs(rules) | climbed)
    keys = [t.dimension for t in tables if isinstance(t.dimension, ir.Attribute)]
    rest = [*hierarchies(emitter.climbed), *hoist(rules, emitter, keys), *ask(rules, emitter)]
    if tables:
        rest += _lookups(tables, emitter)
    rest += _answer(bool(tables))
    body = [*_outline(site, _names(rest)), *rest]
    return module("decide", ("principal", "resource", "context"), body), emitter.constants


def _names(body: Sequence[ast.stmt]) -> frozenset[str]:
    return frozenset(node.id for part in body for node in ast.walk(part) if isinstance(node, ast.Name))


def _outline(site: Site, used: frozenset[str]) -> list[ast.stmt]:
    """Raises unless the request is made of plain dicts with textual ids, and no agent takes part. That the types are
    right was settled when the function was chosen by them."""
    agent = ast.Compare(ast.Constant("agent"), [ast.In()], [load("context")])
    given = ast.Compare(load("context"), [ast.IsNot()], [ast.Constant(None)])
    odd = ast.BoolOp(ast.Or(), [_is_not("context", "dict"), agent])
    absent: list[ast.stmt] = [assign("context", load("nothing"))] if "context" in used else []
    body: list[ast.stmt] = [
        _refuse(ast.BoolOp(ast.Or(), [_is_not("principal", "dict"), _is_not("resource", "dict")])),
        assign("pid", subscript(load("principal"), "id")),
        assign("rid", subscript(load("resource"), "id")),
        _refuse(ast.BoolOp(ast.Or(), [_is_not("pid", "str"), _is_not("rid", "str")])),
        ast.If(given, [_refuse(odd)], absent),
    ]
    for root, id_ in (("principal", "pid"), ("resource", "rid")):
        if f"known_{root}" not in used:
            continue
        known: ast.expr = load("nothing")
        if site.type_of(root) in site.recorded:
            get = ast.Attribute(load(f"records_{root}"), "get", ast.Load())
            known = ast.Call(get, [load(id_), known], [])
        body.append(assign(f"known_{root}", known))
    return body


def _refuse(test: ast.expr) -> ast.stmt:
    return ast.If(test, [ast.Expr(call("bad"))], [])


def _is_not(name: str, kind: str) -> ast.expr:
    return ast.Compare(class_of(load(name)), [ast.IsNot()], [load(kind)])


def _answer(tables: bool) -> list[ast.stmt]:
    """Returns the decision for the mask in `m` and, if tables were asked and gave anything, the hits in `h`."""
    body: list[ast.stmt] = []
    if tables:
        key = ast.Tuple([load("m"), call("in_order", load("h"))], ast.Load())
        body.append(ast.If(load("h"), [ast.Return(ast.Subscript(load("decisions"), key, ast.Load()))], []))
    found = ast.Subscript(load("outcomes"), load("m"), ast.Load())
    unknown = ast.Compare(load("d"), [ast.Is()], [ast.Constant(None)])
    return [*body, assign("d", found), _refuse(unknown), ast.Return(load("d"))]


def _lookups(tables: Sequence[Lookup], emitter: Emitter) -> list[ast.stmt]:
    """Asks the rules that the tables give for this request, and notes which of them held."""
    body: list[ast.stmt] = [assign("h", ast.Tuple([], ast.Load()))]
    for table in tables:
        rows = emitter.constant(table.rows)
        match table.dimension:
            case ("above", root):
                above, keys = load("above_" + root), emitter.constant(frozenset(table.rows))
                apart = ast.Call(ast.Attribute(keys, "isdisjoint", ast.Load()), [above], [])
                ask = _ask(ast.Subscript(rows, load("k"), ast.Load()))
                each = ast.For(ast.Name("k", ast.Store()), ast.BinOp(keys, ast.BitAnd(), above), ask, [])
                body.append(ast.If(ast.UnaryOp(ast.Not(), apart), [each], []))
                type_ = emitter.site.type_of(root)
                if any(key[0] == type_ for key in table.rows):
                    own = ast.Tuple([ast.Constant(type_), load("pid" if root == "principal" else "rid")], ast.Load())
                    body += _get(rows, own)
            case ("id", "action"):
                body += _get(rows, ast.Constant(emitter.site.action))
            case ("id", root):
                body += _get(rows, load("pid" if root == "principal" else "rid"))
            case ir.Attribute():
                body += _get(rows, emitter.emit(table.dimension))
    return body


def _get(rows: ast.expr, key: ast.expr) -> list[ast.stmt]:
    get = ast.Call(ast.Attribute(rows, "get", ast.Load()), [key], [])
    there = ast.Compare(load("b"), [ast.IsNot()], [ast.Constant(None)])
    return [assign("b", get), ast.If(there, _ask(load("b")), [])]


def _ask(block: ast.expr) -> list[ast.stmt]:
    """`h += block.ask(...)`: the block's number and mask, if any of its rules held."""
    asked = ast.Call(ast.Attribute(block, "ask", ast.Load()), [load(name) for name in PARAMETERS], [])
    return [ast.AugAssign(ast.Name("h", ast.Store()), ast.Add(), asked)]
