"""decide never raises, changes nothing it is given, and never allows what is not a request; it is a function.

decide(q) raises for no q           q' = q after decide(q)             decide(q) = decide(q)
principal, resource not an entity, or action without a name, or a context that is not an object  ⇒  deny
decide_many(qs) = map(decide, qs)
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.support.evaluators import fast_decide, reference
from tests.support.examples import half
from tests.support.requests import hostile_values
from tests.support.scenarios import Scenario, scenarios

ANYTHING = hostile_values | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | hostile_values,
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner),
    max_leaves=8,
)


@half
@given(scenarios(("hostile",) * 4))
def test_it_never_raises_and_is_a_function(scenario: Scenario) -> None:
    snapshot = scenario.snapshot()
    fast = scenario.engine()
    for asked in scenario.requests:
        first = fast.decide(**asked)
        assert first.decision in ("allow", "deny")
        assert fast.decide(**asked) == first
        assert first.revision == snapshot.revision
        assert first.decision == "deny" or first.determining


@half
@given(scenarios(("well-typed",)), ANYTHING, st.sampled_from(("principal", "action", "resource", "context")))
def test_anything_in_a_place_of_the_request(scenario: Scenario, value: Any, place: str) -> None:
    snapshot = scenario.snapshot()
    asked = {**scenario.requests[0], place: value}
    decision = fast_decide(snapshot, asked)
    assert decision == reference(snapshot, asked)
    if not _proper[place](value):
        assert decision.decision == "deny"
        assert decision.errors[0].rule == ""


def _named(value: Any, *names: str) -> bool:
    return type(value) is dict and all(isinstance(value.get(name), str) for name in names)


_proper: dict[str, Callable[[Any], bool]] = {
    "principal": lambda v: _named(v, "type", "id"),
    "resource": lambda v: _named(v, "type", "id"),
    "action": lambda v: isinstance(v, str) or _named(v, "name"),
    "context": lambda v: v is None or type(v) is dict,
}


@half
@given(scenarios())
def test_it_changes_nothing_it_is_given(scenario: Scenario) -> None:
    fast = scenario.engine()
    entities = deepcopy(scenario.entities)
    for asked in scenario.requests:
        before = repr(asked)
        fast.decide(**asked)
        assert repr(asked) == before
    assert scenario.entities == entities


@half
@given(scenarios(("well-typed", "hostile", "well-typed", "hostile", "well-typed")))
def test_many_is_each(scenario: Scenario) -> None:
    fast = scenario.engine()
    assert fast.decide_many(scenario.requests) == [fast.decide(**asked) for asked in scenario.requests]
    assert fast.decide_many(iter(scenario.requests)) == fast.decide_many(scenario.requests)
    assert fast.decide_many([]) == []
    approved = [rule.name for rule in scenario.snapshot().policies.rules if rule.demands_approval]
    some = [{**asked, "approved": approved} for asked in scenario.requests]
    assert fast.decide_many(some) == [fast.decide(**asked) for asked in some]
