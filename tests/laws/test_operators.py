"""Equations between operators, for whatever a request holds.

e in xs ⇔ any x in xs: x == e                   not (any x in xs: c) ⇔ all x in xs: not c
contains_any(xs, ys) ⇔ any x in xs: x in ys     contains_all(xs, ys) ⇔ all y in ys: y in xs
size(xs) == 0 ⇔ xs == []                        xs == ys ⇔ each contains all of the other (sets)
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
TYPES = {name: type_ for name, type_ in POOL if name not in ("odd name", "recs", "rec", "data")}
COLLECTIONS = [n for n, t in TYPES.items() if t.startswith(("Set", "List"))]
SETS = [n for n in COLLECTIONS if TYPES[n].startswith("Set")]
ELEMENTS = [n for n in COLLECTIONS if n != "bag"]
ORDERED = ("n", "x", "at", "wait")


def _pair(left: str, right: str) -> Snapshot:
    """A rule for either side. What they read is on the principal and on the resource, of each type."""
    fields = ", ".join(f"{name}: {type_}" for name, type_ in TYPES.items())
    rules = "".join(f"permit {n}: look on Doc\n  when {c}\n" for n, c in (("left", left), ("right", right)))
    loaded = load_text(SCHEMA.format(fields) + rules)
    assert loaded.snapshot is not None, loaded.diagnostics
    return loaded.snapshot


# name of a law, what it is about, its two sides; {a} is a collection or value of the principal, {b} of the resource
EQUATIONS: list[tuple[str, Any, str, str]] = [
    ("in", COLLECTIONS, "any y in resource.{0}: y in principal.{0}",
    "any y in resource.{0}: any x in principal.{0}: x == y"),
    ("contains_any", COLLECTIONS, "contains_any(principal.{0}, resource.{0})",
    "any x in principal.{0}: x in resource.{0}"),
    ("contains_all", COLLECTIONS, "contains_all(principal.{0}, resource.{0})",
    "all y in resource.{0}: y in principal.{0}"),
    ("not any", COLLECTIONS, "not (any x in principal.{0}: x in resource.{0})",
    "all x in principal.{0}: not x in resource.{0}"),
    ("size 0", COLLECTIONS, "size(principal.{0}) == 0", "not (any x in principal.{0}: true)"),
    (
        "set equality", SETS, "principal.{0} == resource.{0}",
        "contains_all(principal.{0}, resource.{0}) and contains_all(resource.{0}, principal.{0})",
    ),
    ("!=", [*TYPES], "principal.{0} != resource.{0}", "not principal.{0} == resource.{0}"),
    ("symmetry of ==", [*TYPES], "principal.{0} == resource.{0}", "resource.{0} == principal.{0}"),
    ("reflexivity of ==", [*TYPES], "principal.{0} == principal.{0}", "principal.{0} == principal.{0} or true"),
    ("<", ORDERED, "principal.{0} < resource.{0}",
    "resource.{0} > principal.{0} and not principal.{0} >= resource.{0}"),
    ("<=", ORDERED, "principal.{0} <= resource.{0}", "principal.{0} < resource.{0} or principal.{0} == resource.{0}"),
    ("like", ["s"], 'principal.{0} like "a*"', 'starts_with(principal.{0}, "a")'),
    ("if", ["flag"], "if principal.{0} then resource.{0} else not resource.{0}", "principal.{0} == resource.{0}"),
    (
        "subset sizes", SETS, "principal.{0} == resource.{0}",
        "contains_all(principal.{0}, resource.{0}) and size(principal.{0}) == size(resource.{0})",
    ),
]  # fmt: skip
CASES = [
    pytest.param(left.format(name), right.format(name), name, id=f"{law}, {TYPES[name]}")
    for law, names, left, right in EQUATIONS
    for name in names
]


@pytest.mark.parametrize(("left", "right", "name"), CASES)
def test_equation(left: str, right: str, name: str) -> None:
    snapshot = _pair(left, right)
    type_ = snapshot.schema.entities["Doc"].attributes[name].type

    @given(_related(type_), _related(type_), st.booleans())
    def holds(one: Any, two: Any, same: bool) -> None:
        asked = {
            "principal": {"type": "Place", "id": "p", name: one},
            "action": "look",
            "resource": {"type": "Doc", "id": "d", name: one if same else two},
            "context": {},
        }
        decision = reference(snapshot, asked)
        assert fast_decide(snapshot, asked) == decision
        erred = {e.rule for e in decision.errors}
        if not erred:
            assert set(decision.determining) in (set(), {"policy.left", "policy.right"})

    holds()


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
