"""Rules as a Python function for requests that may not be in order.

The function evaluates every rule and returns the mask of those that held and the mask of those that failed. For other
rules, it reports where they read an attribute without a value, and why it has none. The reasons are the interpreter's,
word for word, so the interpreter need not be asked. Each attribute is read once, at the top; `fallible_expressions.py`
defines what happens to a rule that needs one without a value.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from policyengine.compile.ancestors import look_up, lookups_of
from policyengine.compile.call_site import CallSite
from policyengine.compile.codegen import (
    PARAMETERS,
    ROOTS,
    first_test,
    items_of,
    read_sources_once,
    scope_tests,
    set_bit,
)
from policyengine.compile.failures import RuleFailures
from policyengine.compile.fallible_expressions import CheckingEmitter, ReadPlace, absent, negation
from policyengine.compile.hoist import ancestor_roots, targets
from policyengine.compile.pyfunction import function, module
from policyengine.compile.pytree import all_of, assign, call, call_object, class_of, load
from policyengine.compile.reads import (
    READABLE,
    Faults,
    NumberedRead,
    Readable,
    Reason,
    base_of,
    certain,
    first_read,
    is_readable,
    reads_of,
    taking,
)
from policyengine.compile.type_tests import scalar_test
from policyengine.ir import nodes as ir
from policyengine.ir.nodes import Rule
from policyengine.ir.walk import walk
from policyengine.model.entities import World
from policyengine.model.types import STRING, ListT, SetT

# The numbers of places, and, by the numbers of attributes, why those have no value; empty if no rule read such one.
Report = tuple[()] | tuple[tuple[int, ...], tuple[tuple[int, Reason], ...]]
# Takes PARAMETERS; returns the masks of the rules that held and of those that failed, and what it reports of others.
FallibleFunction = Callable[..., tuple[int, int, Report]]


def careful_function(
    rules: Sequence[Rule], site: CallSite, world: World, env: Mapping[str, Any], failures: RuleFailures
) -> tuple[FallibleFunction, Sequence[ReadPlace]]:
    """The function, and the places that it reports."""
    written = _FunctionWriter(rules, site)
    body = written.body()
    takes = takes_of(written.emitter.reads, world)
    names = {**env, **written.emitter.constants, **takes}
    names |= {"report": _reporter(written.emitter.places), "failed": failures.failed}
    made: FallibleFunction = function(module("careful", PARAMETERS, body), names)
    return made, written.emitter.places


def _reporter(places: Sequence[ReadPlace]) -> Callable[[list[int], Faults], Report]:
    """A function that reports why the attributes that rules read have no value."""
    numbers: dict[int, set[int]] = {}
    for number, place in enumerate(places):
        numbers.setdefault(place.read, set()).add(number)

    def report(came_upon: list[int], faults: Faults) -> Report:
        # Every attribute is read at the top, so `faults` may name some that no rule needed. If these were reported, two
        # requests with one decision would be remembered separately.
        if len(faults) == 1:
            return tuple(came_upon), tuple(faults.items())
        why = [(read, why) for read, why in faults.items() if not numbers.get(read, _NONE).isdisjoint(came_upon)]
        return tuple(came_upon), tuple(why)

    return report


_NONE: frozenset[int] = frozenset()


class _FunctionWriter:
    """Writes one function."""

    def __init__(self, rules: Sequence[Rule], site: CallSite) -> None:
        self._rules = rules
        reads = reads_of(rules)
        self.emitter = CheckingEmitter(
            site,
            loads={node: read.name for node, read in reads.items() if read.is_value},
            looked_up=ancestor_roots(rules),
            targets={root: targets(rules, root) for root in ROOTS},
            reads=reads,
        )

    def body(self) -> list[ast.stmt]:
        emitter = self.emitter
        reads = read_all(emitter.reads, emitter.site)
        empty: tuple[tuple[str, ast.expr], ...] = (("places", ast.List([], ast.Load())), ("faults", ast.Dict([], [])))
        report = ast.IfExp(load("places"), call("report", load("places"), load("faults")), ast.Tuple([], ast.Load()))
        return [
            *(assign(name, value) for name, value in empty),
            assign("note", ast.Attribute(load("places"), "append", ast.Load())),
            *reads,
            *self._look_up(),
            *read_sources_once(self._rules),
            assign("m", ast.Constant(0)),
            assign("o", ast.Constant(0)),
            *self._ask(),
            ast.Return(ast.Tuple([load("m"), load("o"), report], ast.Load())),
        ]

    def _look_up(self) -> list[ast.stmt]:
        """The searches above roots. If one fails, the rules that use its result fail, and no others."""
        statements: list[ast.stmt] = []
        for lookup in lookups_of(self.emitter.looked_up, self.emitter):
            # The search itself must not fail: a rule that is false before it asks for the hierarchy does not err.
            failed = ast.ExceptHandler(load("Exception"), None, [assign(lookup.name, load("unknown_hierarchy"))])
            statements.append(ast.Try(look_up([lookup], self.emitter), [failed], [], []))
        return statements

    # ---- rules ----

    def _ask(self) -> list[ast.stmt]:
        """All rules: first those that begin by reading the same attribute, several at once."""
        groups: dict[ir.Attribute, list[int]] = {}
        others: list[int] = []
        for number, rule in enumerate(self._rules):
            first = first_read(rule)
            (others if first is None else groups.setdefault(first, [])).append(number)
        statements: list[ast.stmt] = []
        for attribute, numbers in groups.items():
            read = self.emitter.reads[attribute]
            place = self._place(read, [(number, first_read(self._rules[number])) for number in numbers])
            asked = self._ask_each(numbers, frozenset({read.name}))
            statements.append(ast.If(absent(read.name), [_note(place)], asked))
        return [*statements, *self._ask_each(others, frozenset())]

    def _ask_each(self, numbers: Sequence[int], valued: frozenset[str]) -> list[ast.stmt]:
        """These rules. A test that several of them begin with is made once."""
        together: dict[ir.Expr, list[int]] = {}
        for number in numbers:
            together.setdefault(first_test(self._rules[number])[0], []).append(number)
        statements: list[ast.stmt] = []
        for test, group in together.items():
            if len(group) > 1 and self._is_simple(test):
                statements.append(self._ask_together(test, group, valued))
            else:
                statements += [self._ask_alone(number, valued) for number in group]
        return statements

    def _is_simple(self, test: ir.Expr) -> bool:
        """Whether every attribute in a test is always read."""
        reads = [node for node in walk(test) if isinstance(node, READABLE) and is_readable(node)]
        return len(reads) == len(certain(test))

    def _ask_together(self, test: ir.Expr, group: Sequence[int], valued: frozenset[str]) -> ast.stmt:
        reads = [self.emitter.reads[node] for node in certain(test)]
        known = valued | {read.name for read in reads}
        branches: dict[bool, list[ast.stmt]] = {True: [], False: []}
        for number in group:
            branches[first_test(self._rules[number])[1]].append(self._ask_rest(number, known))
        self.emitter.valued = known
        held = self.emitter.emit(test)
        asked: ast.stmt = ast.If(held, branches[True], branches[False])
        if not branches[True]:
            asked = ast.If(negation(held), branches[False], [])
        own = [certain(items_of(self._rules[number])[0]) for number in group]
        for at, read in reversed(list(enumerate(reads))):
            if read.name not in valued:
                place = self._place(read, [(number, nodes[at]) for number, nodes in zip(group, own, strict=True)])
                asked = ast.If(absent(read.name), [_note(place)], [asked])
        return _tried(asked, sum(1 << number for number in group), False)

    def _ask_rest(self, number: int, valued: frozenset[str]) -> ast.stmt:
        """A rule whose first test has been made."""
        items = items_of(self._rules[number])[1:]
        if not items:
            return set_bit("m", number)
        return self._asked(number, [], items[0] if len(items) == 1 else _and(items), valued)

    def _ask_alone(self, number: int, valued: frozenset[str]) -> ast.stmt:
        rule = self._rules[number]
        self.emitter.valued = valued
        return self._asked(number, scope_tests(rule, self.emitter), rule.condition, valued)

    def _asked(self, number: int, tests: list[ast.expr], condition: ir.Expr, valued: frozenset[str]) -> ast.stmt:
        self.emitter.asked, self.emitter.raises = number, False
        if not (isinstance(condition, ir.Const) and condition.value is True and tests):
            tests.append(self.emitter.chained(condition, False, True, set(valued)))
        return _tried(ast.If(all_of(tests), [set_bit("m", number)], []), 1 << number, self.emitter.raises)

    def _place(self, read: NumberedRead, rules: Sequence[tuple[int, Readable | None]]) -> ast.expr:
        return self.emitter.place(read, [(number, node.span) for number, node in rules if node is not None])


def read_all(reads: Mapping[Readable, NumberedRead], site: CallSite) -> list[ast.stmt]:
    """Statements that read attributes to their names, and put into `faults` why some have no value."""
    return [statement for read in reads.values() for statement in _read(read, reads, site)]


def takes_of(reads: Mapping[Readable, NumberedRead], world: World) -> dict[str, Any]:
    """The functions that these statements call, by name."""
    return {f"take_{read.name}": taking(read, world) for read in reads.values()}


def _read(read: NumberedRead, reads: Mapping[Readable, NumberedRead], site: CallSite) -> list[ast.stmt]:
    expr, name, take = read.expr, read.name, f"take_{read.name}"
    base, type_ = base_of(expr), expr.type
    if isinstance(base, READABLE):
        return [assign(name, call(take, load(reads[base].name), load("faults")))]
    assert isinstance(expr, ir.Attribute)
    assert isinstance(base, ir.Root)
    raw = assign(name, _raw_or_absent(expr, base, site))
    taken = assign(name, call(take, load(name), load("faults")))
    test = scalar_test(load(name), load(name), type_)
    if test is None and isinstance(type_, SetT | ListT):
        is_list = ast.Compare(class_of(load(name)), [ast.Is()], [load("list")])
        test = call("plain_texts", load(name)) if type_.element == STRING else is_list
    return [raw, taken] if test is None else [raw, ast.If(negation(test), [taken], [])]


def _raw_or_absent(attribute: ir.Attribute, base: ir.Root, site: CallSite) -> ast.expr:
    """The unguarded value under the name of an attribute. For a principal or resource, what the world knows takes
    precedence."""
    if base.name == "context" or base.name == "action":
        return _get("context" if base.name == "context" else "attributes", attribute.name)
    if attribute.owners is not None and site.type_of(base.name) not in attribute.owners:
        return load("absent")
    own = _get(base.name, attribute.name)
    if site.type_of(base.name) not in site.recorded:
        return own
    known = load("known_" + base.name)
    there = ast.Compare(ast.Constant(attribute.name), [ast.In()], [known])
    return ast.IfExp(there, ast.Subscript(known, ast.Constant(attribute.name), ast.Load()), own)


def _get(of: str, name: str) -> ast.expr:
    return call_object(ast.Attribute(load(of), "get", ast.Load()), ast.Constant(name), load("absent"))


def _note(place: ast.expr) -> ast.stmt:
    return ast.Expr(call("note", place))


def _and(items: tuple[ir.Expr, ...]) -> ir.Expr:
    return ir.And(items, type=items[0].type, span=items[0].span)


def _tried(statement: ast.stmt, mask: int, raises: bool) -> ast.stmt:
    failed_mask = call("failed", load("error"), ast.Constant(mask), load("places"))
    failed = ast.ExceptHandler(
        load("Exception"), "error", [ast.AugAssign(ast.Name("o", ast.Store()), ast.Add(), failed_mask)]
    )
    # Its place is noted already. Counted as failed as well, the rule would err without a reason.
    lacking = ast.ExceptHandler(load("Lacking"), None, [ast.Pass()])
    return ast.Try([statement], [lacking, failed] if raises else [failed], [], [])
