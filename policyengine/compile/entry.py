"""The entry function for a whole request, as one Python function.

It checks the outline of the request, evaluates the rules that every request needs, looks up what the tables add, and
returns the decision that is remembered for the outcome. It raises if anything is unusual or nothing is remembered yet.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from policyengine.compile.ancestors import AncestorLookup, look_up, lookups_of
from policyengine.compile.call_site import CallSite
from policyengine.compile.codegen import PARAMETERS, ROOTS, ask
from policyengine.compile.emit import Emitter
from policyengine.compile.hoist import HoistedRead, ancestor_roots, hoist, read, targets
from policyengine.compile.index import Dimension
from policyengine.compile.mention_check import Apart
from policyengine.compile.prepare import Prepared
from policyengine.compile.pyfunction import module
from policyengine.compile.pytree import all_of, assign, call, class_of, load, subscript
from policyengine.ir import nodes as ir
from policyengine.ir.nodes import Rule
from policyengine.model.values import Uid
from policyengine.schema.members import DELEGATED_BY

# Up to this many rules, a list of all outcomes is short enough to be indexed by the mask.
LISTED = 8


# The parameters of the function. `attributes` are those of the action, `approved` is None if there are no approvals,
# and with `alone` the decision is about the principal alone, whatever agents there are. The last three are optional.
WAY_IN = ("principal", "resource", "context", "attributes", "approved", "alone")


class TableLookup(Protocol):
    """A table from values of a key to blocks of rules. The `ask` of a block takes PARAMETERS and returns a tuple: the
    block's number and the mask of its rules that held, if any did."""

    @property
    def dimension(self) -> Dimension: ...

    @property
    def rows(self) -> Mapping[Any, Any]: ...


@dataclass(frozen=True, slots=True)
class EntryPath:
    """One path from a well-formed request to the decision: what is read first, and the statements after that."""

    lookups: tuple[AncestorLookup, ...]
    reads: tuple[HoistedRead, ...]
    body: list[ast.stmt]
    emitter: Emitter

    @property
    def names(self) -> frozenset[str]:
        """The names that the statements use."""
        return names(self.body)


@dataclass(frozen=True, slots=True)
class EntryPaths:
    """Two paths through the same rules. `named`, if there is one, is shorter. It is for requests that give only the
    type and id of the entities whose type has records in the world; `prepared` is what it needs of them. `apart`, if
    there is one, is a quick test that no entity is mentioned twice."""

    site: CallSite
    apart: Apart | None
    any: EntryPath
    named: EntryPath | None
    prepared: Prepared
    constants: Mapping[str, Any]


def entry_paths(
    rules: Sequence[Rule], tables: Sequence[TableLookup], site: CallSite, apart: Apart | None
) -> EntryPaths:
    """The paths by which rules and tables answer requests of one shape."""
    named = frozenset(root for root in ROOTS if site.type_of(root) in site.recorded)
    emitter = Emitter(site)
    path = _path(rules, tables, emitter)
    if not named:
        return EntryPaths(site, apart, path, None, emitter.prepared, emitter.constants)
    short = _path(rules, tables, Emitter(site, prepared=Prepared(named), constants=emitter.constants))
    prepared = short.emitter.prepared
    for root in sorted(named):
        if f"above_{root}" in short.names:
            prepared.add_above(root)
    some = any(prepared.items[root] for root in named)
    return EntryPaths(site, apart, path, short if some else None, prepared, emitter.constants)


def entry_tree(entry_paths: EntryPaths, asks_fallback: bool = False) -> ast.Module:
    """Both paths as one function, which checks the request by statements of its own. If only the outline is in order,
    it calls `fallback` or raises."""
    rest = _statements(entry_paths.any)
    if entry_paths.named is not None:
        rest = [*_if_named(entry_paths.prepared, _statements(entry_paths.named)), *rest]
    if asks_fallback:
        ask_fallback = ast.Return(call("fallback", *map(load, WAY_IN[:-1])))
        rest = [ast.Try(rest, [ast.ExceptHandler(load("Exception"), None, [ask_fallback])], [], [])]
    return module("decide", WAY_IN, [*_outline(names(rest), entry_paths), *rest])


def _statements(path: EntryPath) -> list[ast.stmt]:
    body = [*look_up(path.lookups, path.emitter), *read(path.reads, path.emitter), *path.body]
    return [*_known(names(body)), *body]


def _path(rules: Sequence[Rule], tables: Sequence[TableLookup], emitter: Emitter) -> EntryPath:
    named = emitter.prepared.roots
    tables_of = {t.dimension[1] for t in tables if isinstance(t.dimension, tuple) and t.dimension[0] == "above"}
    emitter.looked_up = ancestor_roots(rules) | tables_of | named
    emitter.targets = {root: _targets(rules, tables, root) for root in ROOTS}
    keys = [t.dimension for t in tables if isinstance(t.dimension, ir.Attribute)]
    looks, reads = lookups_of(emitter.looked_up - named, emitter), hoist(rules, emitter, keys)
    body = ask(rules, emitter)
    if tables:
        body += _lookups(tables, emitter)
    return EntryPath(looks, reads, [*body, *_answer()], emitter)


def _targets(rules: Sequence[Rule], tables: Sequence[TableLookup], root: str) -> frozenset[Uid] | None:
    """All targets that the rules and the tables search for above a root."""
    uids = targets(rules, root)
    keys = (key for table in tables if table.dimension == ("above", root) for key in table.rows)
    return uids if uids is None else uids | {Uid(*key) for key in keys}


def _if_named(prepared: Prepared, body: list[ast.stmt]) -> list[ast.stmt]:
    """The short path, for entities that have only a type and an id, and have a row. Any other attribute in the request
    would have to be merged with what is known of the entity."""
    roots = [root for root in sorted(prepared.roots) if prepared.items[root]]
    bare: list[ast.expr] = [ast.Compare(call("len", load(root)), [ast.Eq()], [ast.Constant(2)]) for root in roots]
    ids = {"principal": load("pid"), "resource": load("rid")}
    made = [assign(f"row_{r}", ast.Subscript(load(f"rows_{r}"), ids[r], ast.Load())) for r in roots]
    looked_up = [assign(f"row_{r}", call(f"find_{r}", ids[r])) for r in roots]
    rows = ast.Try(list(made), [ast.ExceptHandler(load("KeyError"), None, list(looked_up))], [], [])
    there: list[ast.expr] = [ast.Compare(load(f"row_{root}"), [ast.IsNot()], [ast.Constant(None)]) for root in roots]
    unpacked: list[ast.stmt] = []
    for root in roots:
        names: list[ast.expr] = [ast.Name(name, ast.Store()) for name in prepared.items[root].values()]
        unpacked.append(ast.Assign([ast.Tuple(names, ast.Store())], load(f"row_{root}")))
    return [ast.If(all_of(bare), [rows, ast.If(all_of(there), [*unpacked, *body], [])], [])]


def names(body: Sequence[ast.stmt]) -> frozenset[str]:
    return frozenset(node.id for part in body for node in ast.walk(part) if isinstance(node, ast.Name))


def _outline(used: frozenset[str], entry_paths: EntryPaths) -> list[ast.stmt]:
    """Raises unless the request is made of plain dicts with ids that are texts. If others must be allowed as well,
    returns the decision for all of them. The types need no check: the function was chosen by them."""
    # Most contexts are empty, and testing that is faster than testing for members.
    agent = all_of([load("context"), _has("context", "agent"), _negated(load("alone"))])
    together = ast.Return(call("together", *map(load, WAY_IN[:-1])))
    given = ast.Compare(load("context"), [ast.IsNot()], [ast.Constant(None)])
    absent: list[ast.stmt] = [assign("context", load("nothing"))] if "context" in used else []
    return [
        _refuse(ast.BoolOp(ast.Or(), [_is_not("principal", "dict"), _is_not("resource", "dict")])),
        assign("pid", subscript(load("principal"), "id")),
        assign("rid", subscript(load("resource"), "id")),
        _refuse(ast.BoolOp(ast.Or(), [_is_not("pid", "str"), _is_not("rid", "str")])),
        *(_refuse(ast.BoolOp(ast.Or(), [_type_is_odd(root), _unlike(root, f"members_{root}")])) for root in ROOTS),
        ast.If(
            given,
            [_refuse(ast.BoolOp(ast.Or(), [_is_not("context", "dict"), _unlike("context", "known_context")]))],
            absent,
        ),
        _refuse(_mentions_twice(entry_paths.apart)),
        ast.If(agent, [together], []),
        *([ast.If(_is_delegated(), [together], [])] if entry_paths.site.delegates else []),
    ]


def _mentions_twice(apart: Apart | None) -> ast.expr:
    """Whether entities may be mentioned more than once. With `alone` the mentions were merged before."""
    single = call("single", load("principal"), load("resource"), load("context"), load("attributes"))
    only_refers = [] if apart is None else [_negated(all_of(_only_refers(apart)))]
    return all_of([_negated(load("alone")), *only_refers, _negated(single)])


def _only_refers(apart: Apart) -> list[ast.expr]:
    """Whether all mentions are references to entities of other types. This is a quick test for most requests."""
    elsewhere = ast.Call(ast.Attribute(load("roots"), "isdisjoint", ast.Load()), [load("context")], [])
    tests: list[ast.expr] = [ast.BoolOp(ast.Or(), [_negated(load("context")), elsewhere])]
    if apart.acts:
        tests.append(_negated(load("attributes")))
    if apart.alike:
        tests.append(ast.Compare(load("pid"), [ast.NotEq()], [load("rid")]))
    for root, own in (("principal", apart.principal), ("resource", apart.resource)):
        for name in own:
            refers = call("refers", subscript(load(root), name))
            tests.append(ast.BoolOp(ast.Or(), [_negated(_has(root, name)), refers]))
    return tests


def _negated(test: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.Not(), test)


def _type_is_odd(root: str) -> ast.expr:
    return ast.Compare(class_of(subscript(load(root), "type")), [ast.IsNot()], [load("str")])


def _unlike(name: str, known: str) -> ast.expr:
    """Whether an object has names that have to be checked."""
    keys = ast.Call(ast.Attribute(load(name), "keys", ast.Load()), [], [])
    return _negated(ast.Compare(keys, [ast.LtE()], [load(known)]))


def _is_delegated() -> ast.expr:
    """Whether somebody delegated to the principal, according to the world or to the principal itself."""
    record = ast.Call(ast.Attribute(load("records_principal"), "get", ast.Load()), [load("pid"), load("nothing")], [])
    recorded = ast.Compare(ast.Constant(DELEGATED_BY), [ast.In()], [record])
    there = ast.BoolOp(ast.Or(), [_has("principal", DELEGATED_BY), recorded])
    return all_of([_negated(load("alone")), there])


def _has(name: str, key: str) -> ast.expr:
    return ast.Compare(ast.Constant(key), [ast.In()], [load(name)])


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
    """Returns the decision for the mask in `m`. A new outcome has none: `bucket.py` combines it, on the slow path, and
    remembers it."""
    decision = ast.Subscript(load("outcomes"), load("m"), ast.Load())
    unknown = ast.Compare(load("d"), [ast.Is()], [ast.Constant(None)])
    return [assign("d", decision), _refuse(unknown), _approved()]


def _approved() -> ast.stmt:
    """Returns the decision in `d`, or the decision with the approvals that came with the request."""
    none = ast.Compare(load("approved"), [ast.Is()], [ast.Constant(None)])
    return ast.Return(ast.IfExp(none, load("d"), call("approve", load("d"), load("approved"))))


def _lookups(tables: Sequence[TableLookup], emitter: Emitter) -> list[ast.stmt]:
    """Evaluates the rules that the tables give for this request. If any of them held, returns the decision for the mask
    and these hits."""
    body = ask_tables(tables, emitter, "ask")
    none = assign("h", ast.Tuple([], ast.Load()))
    in_order_call = ast.Tuple([load("m"), call("in_order", load("h"))], ast.Load())
    decision = assign("d", ast.Subscript(load("decisions"), in_order_call, ast.Load()))
    answer = ast.If(load("h"), [decision, _approved()], [])
    match body:
        # With one table, there are no hits to begin with unless its test is true.
        case [ast.If(test=test, body=asked)]:
            return [ast.If(test, [none, *asked, answer], [])]
    return [none, *body, answer]


def ask_tables(tables: Sequence[TableLookup], emitter: Emitter, question: str) -> list[ast.stmt]:
    """Adds to `h` the answers of the blocks that the tables give for this request."""
    body: list[ast.stmt] = []
    for table in tables:
        rows = emitter.constant(table.rows)
        match table.dimension:
            case ("above", root):
                above: ast.expr = load("above_" + root)
                keys = emitter.constant(frozenset(table.rows))
                apart = ast.Call(ast.Attribute(keys, "isdisjoint", ast.Load()), [above], [])
                ask = _ask(ast.Subscript(rows, load("k"), ast.Load()), emitter, question)
                each = ast.For(ast.Name("k", ast.Store()), ast.BinOp(keys, ast.BitAnd(), above), ask, [])
                # Most often there are none, and this is the fastest test for that.
                body.append(ast.If(all_of([above, ast.UnaryOp(ast.Not(), apart)]), [each], []))
                type_ = emitter.site.type_of(root)
                if any(key[0] == type_ for key in table.rows):
                    own = ast.Tuple([ast.Constant(type_), load("pid" if root == "principal" else "rid")], ast.Load())
                    body += _get(rows, own, emitter, question)
            case ("id", "action"):
                body += _get(rows, ast.Constant(emitter.site.action), emitter, question)
            case ("id", root):
                body += _get(rows, load("pid" if root == "principal" else "rid"), emitter, question)
            case ir.Attribute():
                body += _get(rows, emitter.emit(table.dimension), emitter, question)
    return body


def _get(rows: ast.expr, key: ast.expr, emitter: Emitter, question: str) -> list[ast.stmt]:
    there = ast.Compare(key, [ast.In()], [rows])
    return [ast.If(there, _ask(ast.Subscript(rows, key, ast.Load()), emitter, question), [])]


def _ask(block: ast.expr, emitter: Emitter, question: str) -> list[ast.stmt]:
    """`h += block.ask(...)`: the block's number and mask, if any of its rules held."""
    request = [*map(load, PARAMETERS[:-2]), *map(emitter.known, ROOTS)]
    asked = ast.Call(ast.Attribute(block, question, ast.Load()), request, [])
    return [ast.AugAssign(ast.Name("h", ast.Store()), ast.Add(), asked)]
