"""Equations between operators, for whatever a request holds.

e in xs ⇔ any x in xs: x == e                   not (any x in xs: c) ⇔ all x in xs: not c
contains_any(xs, ys) ⇔ any x in xs: x in ys     contains_all(xs, ys) ⇔ all y in ys: y in xs
size(xs) == 0 ⇔ xs == []                        xs == ys ⇔ each contains all of the other (sets)
size(xs) ⇔ sum of 1 for each (sets: once)       union(xs, ys) == xs ⇔ contains_all(xs, ys) (sets)
xs == ys ⇔ size(xs) == size(ys) and all p in pairs(xs, ys): p.first == p.second (lists)
a < b ⇔ not (a >= b) ⇔ b > a                    s like "p*" ⇔ starts_with(s, "p")
not not c, true and c, c or false, if true then c else d ⇔ c          a != b ⇔ not (a == b)
when a unless b ⇔ when a and not b
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policyengine.bundle import Snapshot, load_text
from policyengine.model.decision import Decision
from policyengine.model.types import Type
from tests.support.declarations import POOL
from tests.support.evaluators import fast_decide, reference
from tests.support.policies import Policies, RuleText, policies
from tests.support.requests import Choices, hostile_values, requests, value
from tests.support.scenarios import Scenario, scenarios

SCHEMA = (
    "use ai\nentity Folder\nentity Doc\nentity Place {{ {0} }}\nextend Doc {{ {0} }}\naction look on Doc for Place\n"
)
TYPES = {name: type_ for name, type_ in POOL if name not in ("odd name", "recs", "rec", "data", "maybe", "members")}
COLLECTIONS = [n for n, t in TYPES.items() if t.startswith(("Set", "List"))]
SETS = [n for n in COLLECTIONS if TYPES[n].startswith("Set")]
LISTS = [n for n in COLLECTIONS if TYPES[n].startswith("List")]
ORDERED = ("n", "x", "at", "wait")

# What it is about, and the two sides that must agree; {a} is a value of the principal, {b} one of the resource.
EQUATIONS: list[tuple[Any, str, str]] = [
    (COLLECTIONS, "any y in {b}: y in {a}", "any y in {b}: any x in {a}: x == y"),
    (COLLECTIONS, "contains_any({a}, {b})", "any x in {a}: x in {b}"),
    (COLLECTIONS, "contains_all({a}, {b})", "all y in {b}: y in {a}"),
    (COLLECTIONS, "not (any x in {a}: x in {b})", "all x in {a}: not x in {b}"),
    (COLLECTIONS, "size({a}) == 0", "not (any x in {a}: x == x)"),
    (COLLECTIONS, "sum((if x in {b} then 1 else 0) for x in {a}) == 0", "not contains_any({a}, {b})"),
    (COLLECTIONS, "sum((if x == x then 1 else 0) for x in {a}) == size({a})", "all x in {a}: x == x"),
    (COLLECTIONS, "all y in {b}: y in union({a}, {a})", "contains_all({a}, {b})"),
    (COLLECTIONS, "contains_all(union({a}, {b}), {b})", "all y in {b}: y == y"),
    (SETS, "{a} == {b}", "contains_all({a}, {b}) and contains_all({b}, {a})"),
    (SETS, "union({a}, {b}) == {a}", "contains_all({a}, {b})"),
    (LISTS, "{a} == {b}", "size({a}) == size({b}) and (all p in pairs({a}, {b}): p.first == p.second)"),
    (LISTS, "all p in pairs({a}, {a}): p.first == p.second", "all x in {a}: x == x"),
    (SETS, "{a} == {b}", "contains_all({a}, {b}) and size({a}) == size({b})"),
    (TYPES, "{a} != {b}", "not {a} == {b}"),
    (TYPES, "{a} == {b}", "{b} == {a}"),
    (TYPES, "{a} == {a}", "{a} == {a} or true"),
    (ORDERED, "{a} < {b}", "{b} > {a} and not {a} >= {b}"),
    (ORDERED, "{a} <= {b}", "{a} < {b} or {a} == {b}"),
    (["s"], '{a} like "a*"', 'starts_with({a}, "a")'),
    (["flag"], "if {a} then {b} else not {b}", "{a} == {b}"),
]


def _sides(name: str) -> tuple[Snapshot, int]:
    """A rule for each side of each equation about the type; what they read is on the principal and on the resource."""
    about = [sides for names, *sides in EQUATIONS if name in names]
    fields = ", ".join(f"{n}: {type_}" for n, type_ in TYPES.items())
    rules = [
        f"permit {side}{i}: look on Doc\n  when {text.format(a=f'principal.{name}', b=f'resource.{name}')}\n"
        for i, sides in enumerate(about)
        for side, text in zip(("left", "right"), sides, strict=True)
    ]
    loaded = load_text(SCHEMA.format(fields) + "".join(rules))
    assert loaded.snapshot is not None, loaded.diagnostics
    return loaded.snapshot, len(about)


@pytest.mark.hypothesis
@pytest.mark.parametrize("name", TYPES, ids=lambda name: TYPES[name])
def test_equations(name: str) -> None:
    snapshot, count = _sides(name)
    type_ = snapshot.schema.entities["Doc"].attributes[name].type

    @given(_related(type_), _related(type_), st.booleans())
    def hold(one: Any, two: Any, same: bool) -> None:
        asked = {
            "principal": {"type": "Place", "id": "p", name: one},
            "action": "look",
            "resource": {"type": "Doc", "id": "d", name: one if same else two},
            "context": {},
        }
        decision = reference(snapshot, asked)
        assert fast_decide(snapshot, asked) == decision
        erred = {e.rule for e in decision.errors}
        for i in range(count):
            left, right = f"policy.left{i}", f"policy.right{i}"
            if not {left, right} & erred:
                assert (left in decision.determining) == (right in decision.determining), left

    hold()


def _related(type_: Type) -> st.SearchStrategy[Any]:
    typed = st.builds(lambda seed: value(Choices(None, seed), type_), st.integers(0, 40))
    shuffled = typed.flatmap(lambda v: st.permutations(v + _turned(v[:1])) if isinstance(v, list) else st.just(v))
    return st.one_of(typed, typed, shuffled, hostile_values)


def _turned(items: list[Any]) -> list[Any]:
    """The same items; a list among them the other way round, which is the same set."""
    return [item[::-1] if isinstance(item, list) else item for item in items]


@given(policies(max_rules=3), st.data())
def test_what_changes_no_meaning(made: Policies, data: st.DataObject) -> None:
    """Each rewriting of every condition gives the same decisions, and the same errors but for their place."""
    rewritings = (
        lambda c: f"not not ({c})",
        lambda c: f"true and ({c})",
        lambda c: f"({c}) or false",
        lambda c: f"if true then {c} else false",
        lambda c: f"if {c} then true else false",
        lambda c: f"(({c}) and true) and (true or false)",
    )
    rewrite = data.draw(st.sampled_from(rewritings))
    changed = [_with(rule, rewrite) for rule in made.rules if not rule.tail]
    plain = made.with_rules(rule for rule in made.rules if not rule.tail).load()
    snapshot = made.with_rules(changed).load()
    for _ in range(3):
        asked = data.draw(requests(made.schema, made.theme))
        assert _essence(fast_decide(snapshot, asked)) == _essence(fast_decide(plain, asked))


def _with(rule: RuleText, rewrite: Callable[[str], str]) -> RuleText:
    return replace(rule, when=rewrite(rule.when)) if rule.when else rule


def _essence(decision: Decision) -> tuple[object, ...]:
    errors = [(e.rule, e.code, e.message) for e in decision.errors]
    return decision.decision, decision.determining, decision.labels, errors


@given(scenarios(min_rules=2))
def test_unless_is_and_not(scenario: Scenario) -> None:
    made = scenario.policies
    joined = [
        replace(r, when=" and ".join([f"({r.when})"] * bool(r.when) + [f"not ({r.unless})"]), unless="")
        if r.unless
        else r
        for r in made.rules
    ]
    before, after = scenario.snapshot(), made.with_rules(joined).load(scenario.entities)
    for asked in scenario.requests:
        assert _essence(fast_decide(after, asked)) == _essence(reference(before, asked))
