"""The entry for requests that are not in order: it finds the decision that was made before for the same faults.

In: the outcome of a request, found by fallible functions: which rules held, which rules read an attribute without a
value, and why it has none. The decision follows from that alone, so it is remembered by it. `native/intake.c` calls
this when a request is not in order.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from policyengine.compile.ancestors import look_up, lookups_of
from policyengine.compile.call_site import CallSite
from policyengine.compile.codegen import PARAMETERS, ROOTS
from policyengine.compile.derived_decisions import Derived
from policyengine.compile.emit import Emitter
from policyengine.compile.entry import WAY_IN, ask_tables
from policyengine.compile.fallible_expressions import absent
from policyengine.compile.fallible_rules import Report, read_all, takes_of
from policyengine.compile.intake import Entry
from policyengine.compile.pyfunction import function, module
from policyengine.compile.pytree import assign, call, call_object, load, subscript
from policyengine.compile.reads import NumberedRead, Readable, Reason
from policyengine.compile.rule_blocks import BlockTable, Hit, RuleBlock
from policyengine.compile.runtime import Unusual
from policyengine.ir import nodes as ir
from policyengine.model.decision import Decision
from policyengine.model.entities import World
from policyengine.model.values import Uid

# How many decisions are remembered for each shape of request: each names up to a hundred errors.
MOST_KNOWN = 256
# The number of a table whose key has no value, and why.
FaultyTable = tuple[int, Reason]
# Of the rules that are evaluated first, the mask of those that held and what is reported of others; the same for
# further blocks; and the tables whose key has no value, which is the first thing that all their rules read.
Outcome = tuple[int, Report, tuple[Hit, ...], tuple[FaultyTable, ...]]


class FallbackEntry:
    """For one bucket: the rules that are evaluated first, and the tables of all others."""

    __slots__ = ("_derived", "_env", "_first", "_known", "_made", "_site", "_tables", "_world")

    def __init__(
        self,
        first: RuleBlock,
        tables: Sequence[BlockTable],
        site: CallSite,
        world: World,
        derived: Derived,
        env: Mapping[str, Any],
    ) -> None:
        self._first, self._tables, self._site, self._env = first, tables, site, env
        self._world, self._derived = world, derived
        # Most buckets never see a request that is not in order, so the function is written when the first one comes.
        self._made: Entry = self._make
        self._known: dict[Outcome, Decision] = {}

    def known(self, outcome: Outcome) -> Decision | None:
        return self._known.get(outcome)

    def remember(self, outcome: Outcome, decision: Decision) -> None:
        if len(self._known) >= MOST_KNOWN:
            # When it is full, all are forgotten: a caller that makes up outcomes cannot keep others from being
            # remembered.
            self._known.clear()
        self._known[outcome] = decision

    def ask(self, principal: Any, resource: Any, context: Any, attributes: Any, approved: Any) -> Decision:
        """The decision about a request whose outline is in order, with the arguments of an entry. Raises if it is not
        known."""
        return self._made(principal, resource, context, attributes, approved)

    def _make(self, *request: Any) -> Decision:
        first = self._first.prepare_asked()
        names = {"first": first, "known": self._known, "other": self._without_faults, "approve": self._derived.approve}
        self._made = _function(bool(self._first.rules), self._tables, self._site, self._world, {**self._env, **names})
        return self._made(*request)

    def _without_faults(
        self, held: int, report: Report, hits: tuple[Hit, ...], faulty: tuple[FaultyTable, ...]
    ) -> Decision:
        """The remembered decision about a request in which every value that a rule read is there. Raises for all
        others."""
        # An error has a place, which only the interpreter can name. Without errors, the bucket has the decision.
        if report or faulty or any(of_block for *_, of_block in hits):
            raise Unusual
        decision: Decision | None
        if hits:
            decision = self._env["decisions"][held, tuple([(number, mask) for number, mask, _ in hits])]
        else:
            decision = self._env["outcomes"][held]
        if decision is None:
            raise Unusual
        return decision


def _function(
    asks_first: bool, tables: Sequence[BlockTable], site: CallSite, world: World, env: Mapping[str, Any]
) -> Entry:
    """Finds out the outcome of a request, and looks the decision up. Raises if the decision is not known, if the
    hierarchy cannot be determined, or if a rule failed for an unknown reason."""
    keys = {table.dimension: n for n, table in enumerate(tables) if isinstance(table.dimension, ir.Attribute)}
    reads: dict[Readable, NumberedRead] = {key: NumberedRead(number, key, True) for key, number in keys.items()}
    above: dict[str, Iterable[Any]] = {
        table.dimension[1]: table.rows
        for table in tables
        if not isinstance(table.dimension, ir.Attribute) and table.dimension[0] == "above"
    }
    emitter = Emitter(
        site,
        loads={key: read.name for key, read in reads.items()},
        looked_up=frozenset(above),
        targets={root: frozenset(Uid(*key) for key in rows) for root, rows in above.items()},
    )
    body = [
        assign("pid", subscript(load("principal"), "id")),
        assign("rid", subscript(load("resource"), "id")),
        *(_known(root, site) for root in ROOTS),
        *_ask_first(asks_first),
        _assigned(("h", "t"), ast.Tuple([_none(), _none()], ast.Load())),
        *([assign("faults", ast.Dict([], []))] if reads else []),
        *look_up(lookups_of(emitter.looked_up, emitter), emitter),
        *read_all(reads, site),
        *(ast.If(absent(read.name), [_faulty(read)], []) for read in reads.values()),
        *ask_tables(tables, emitter, "ask_with_report"),
        *([ast.If(load("h"), [assign("h", call("in_order", load("h")))], [])] if tables else []),
        *_answer(),
    ]
    names = {**env, **emitter.constants, **takes_of(reads, world)}
    made: Entry = function(module("fallback", WAY_IN[:-1], body), names)
    return made


def _known(root: str, site: CallSite) -> ast.stmt:
    if site.type_of(root) not in site.recorded:
        return assign(f"known_{root}", load("nothing"))
    find = ast.Attribute(load(f"records_{root}"), "get", ast.Load())
    return assign(f"known_{root}", call_object(find, load("pid" if root == "principal" else "rid"), load("nothing")))


def _ask_first(any_rules: bool) -> list[ast.stmt]:
    if not any_rules:
        return [_assigned(("m", "report"), ast.Tuple([ast.Constant(0), _none()], ast.Load()))]
    asked = _assigned(("m", "o", "report"), call("first", *map(load, PARAMETERS)))
    return [asked, ast.If(load("o"), [ast.Expr(call("bad"))], [])]


def _faulty(read: NumberedRead) -> ast.stmt:
    why = ast.Subscript(load("faults"), ast.Constant(read.number), ast.Load())
    one = ast.Tuple([ast.Tuple([ast.Constant(read.number), why], ast.Load())], ast.Load())
    return ast.AugAssign(ast.Name("t", ast.Store()), ast.Add(), one)


def _answer() -> list[ast.stmt]:
    outcome = [load(name) for name in ("m", "report", "h", "t")]
    find = call_object(ast.Attribute(load("known"), "get", ast.Load()), ast.Tuple(list(outcome), ast.Load()))
    unknown = ast.Compare(load("d"), [ast.Is()], [ast.Constant(None)])
    plain = ast.Compare(load("approved"), [ast.Is()], [ast.Constant(None)])
    return [
        assign("d", find),
        ast.If(unknown, [assign("d", call("other", *outcome))], []),
        ast.Return(ast.IfExp(plain, load("d"), call("approve", load("d"), load("approved")))),
    ]


def _assigned(names: Sequence[str], value: ast.expr) -> ast.stmt:
    return ast.Assign([ast.Tuple([ast.Name(name, ast.Store()) for name in names], ast.Store())], value)


def _none() -> ast.expr:
    return ast.Tuple([], ast.Load())
