"""generated code = interpreter: fast_decide(s, q) = reference(s, q), the first time and from then on.

The whole decision is compared: errors with code, message and location, obligations, determining rules.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from policyengine.bundle import Snapshot, load_text
from policyengine.model.values import Entity, Uid
from tests.support.evaluators import FAST, evaluator, reference
from tests.support.requests import Text, chains
from tests.support.scenarios import Scenario, scenarios
from tests.support.statistics import measure


@given(scenarios())
def test_generated_code_is_the_interpreter(scenario: Scenario) -> None:
    snapshot = scenario.snapshot()
    expected = [reference(snapshot, asked) for asked in scenario.requests]
    for decision in expected:
        event(f"{decision.decision}, {'with' if decision.errors else 'without'} errors")
    # One evaluator for all: what it learns from a request must not change its answer to the next.
    for fast in [evaluator(snapshot, kind) for kind in FAST] * 3:
        assert [fast.decide(**asked) for asked in scenario.requests] == expected


@given(scenarios(("named",) * 4, min_rules=3))
def test_generated_code_is_the_interpreter_for_entities_that_are_only_named(scenario: Scenario) -> None:
    """What is known of them comes from the entity source, and is looked up once."""
    snapshot = scenario.snapshot()
    expected = [reference(snapshot, asked) for asked in scenario.requests]
    for fast in [evaluator(snapshot, kind) for kind in FAST] * 3:
        assert [fast.decide(**asked) for asked in scenario.requests] == expected


@given(scenarios(("hostile",) * 6, min_rules=3))
def test_generated_code_is_the_interpreter_for_any_values(scenario: Scenario) -> None:
    snapshot = scenario.snapshot()
    expected = [reference(snapshot, asked) for asked in scenario.requests]
    for fast in [evaluator(snapshot, kind) for kind in FAST] * 2:
        assert [fast.decide(**asked) for asked in scenario.requests] == expected


ODD: tuple[Any, ...] = (None, True, 5, 2**70, 1.5, "x", [], ["x", 5], {}, {"type": "User", "id": "e0"})


def _faulty(asked: dict[str, Any], data: st.DataObject) -> dict[str, Any]:
    """The request with some attributes left out or of another type, and those of what these refer to."""
    parts = {part: dict(asked[part]) for part in ("principal", "resource", "context")}
    for part in parts.values():
        names = sorted(part.keys() - {"type", "id"})
        for name in data.draw(st.lists(st.sampled_from(names), max_size=3, unique=True)) if names else ():
            inner = part[name]
            if isinstance(inner, dict) and inner.keys() - {"type", "id"} and data.draw(st.booleans()):
                gone = data.draw(st.sampled_from(sorted(inner.keys() - {"type", "id"})))
                part[name] = {key: value for key, value in inner.items() if key != gone}
            elif data.draw(st.booleans()):
                del part[name]
            else:
                part[name] = data.draw(st.sampled_from(ODD))
    return {**asked, **parts}


@given(scenarios(("well-typed",) * 3, min_rules=4), st.data())
def test_generated_code_is_the_interpreter_where_attributes_have_no_value(
    scenario: Scenario, data: st.DataObject
) -> None:
    """Of such requests the decision is remembered by what rules came upon, and the interpreter is not asked why."""
    snapshot = scenario.snapshot()
    asked = [_faulty(one, data) for one in scenario.requests for _ in range(2)]
    expected = [reference(snapshot, one) for one in asked]
    for fast in [evaluator(snapshot, kind) for kind in FAST] * 3:
        for one, decision in zip(asked, expected, strict=True):
            assert fast.decide(**one) == decision
    event("with errors" if any(decision.errors for decision in expected) else "without")


APPROVALS = """
require always_asked: any on any approval(by: Group::"e0")
require asked: any on any when principal in Team::"e0" approval(by: Group::"e1", within: 15m)
"""


def _with_approvals(scenario: Scenario) -> Snapshot:
    loaded = load_text(scenario.policies.text + APPROVALS, entities=scenario.entities)
    assert loaded.snapshot is not None
    return loaded.snapshot


@given(scenarios(("well-typed", "named", "hostile")), st.data())
def test_with_approvals(scenario: Scenario, data: st.DataObject) -> None:
    """Those that are demanded, others, and none, in turn: what was remembered for one changes nothing for the next."""
    snapshot = _with_approvals(scenario)
    demanding = sorted(rule.name for rule in snapshot.policies.rules if rule.demands_approval)
    others = [rule.name for rule in snapshot.policies.rules if not rule.demands_approval]
    some = data.draw(st.lists(st.sampled_from([*demanding, *others[:2], "nothing"]), max_size=3))
    questions = [(asked, approved) for asked in scenario.requests for approved in (some, set(demanding), ())]
    expected = [reference(snapshot, asked, approved) for asked, approved in questions]
    for decision in expected:
        event(f"{decision.decision}, {len(decision.approvals)} awaited")
    for fast in [evaluator(snapshot, kind) for kind in FAST] * 3:
        assert [fast.decide(**asked, approved=approved) for asked, approved in questions] == expected


@given(scenarios(("well-typed",) * 3), st.data())
def test_with_agents_and_actions_with_attributes(scenario: Scenario, data: st.DataObject) -> None:
    """Every request as it is, with a chain of agents, with what its action is like, and with approvals on top."""
    snapshot = _with_approvals(scenario)
    schema = scenario.policies.schema
    demanding = [rule.name for rule in snapshot.policies.rules if rule.demands_approval]
    asked: list[dict[str, Any]] = []
    for one in scenario.requests:
        context = {**one["context"], "agent": data.draw(chains(schema))}
        name = one["action"] if isinstance(one["action"], str) else one["action"]["name"]
        asked += [one, {**one, "context": context}, {**one, "action": {"name": name}, "context": context}]
    questions = [(one, approved) for one in asked for approved in ((), demanding)]
    expected = [reference(snapshot, one, approved) for one, approved in questions]
    for fast in [evaluator(snapshot, kind) for kind in FAST] * 3:
        assert [fast.decide(**one, approved=approved) for one, approved in questions] == expected


PYTHON = """
use ai
extend User { boss: User, tags: Set<String>, list: List<String> }
permit same: retrieve on Document when principal.boss != User::"x"
permit text: retrieve on Document when principal.tenant != "x"
permit tags: retrieve on Document when "a" in principal.tags
permit list: retrieve on Document when principal.list == ["a"]
permit agent: retrieve on any when principal == Agent::"e"
"""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("boss", Entity(Uid("User", "e"), {})),
        ("tenant", Text("a")),
        ("tags", ("a",)),
        ("tags", {"a"}),
        ("tags", frozenset({"a"})),
        ("tags", [Text("a")]),
        ("list", ("a",)),
        ("list", {"a"}),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_values_that_only_python_can_send(name: str, value: Any) -> None:
    loaded = load_text(PYTHON)
    assert loaded.snapshot is not None
    asked = {
        "principal": {"type": "User", "id": "u", name: value},
        "action": "retrieve",
        "resource": {"type": "Document", "id": "d"},
    }
    for kind in FAST:
        fast = evaluator(loaded.snapshot, kind)
        for _ in range(2):
            assert fast.decide(**asked) == reference(loaded.snapshot, asked)


@pytest.mark.parametrize("place", ["principal", "resource"])
def test_a_type_that_only_python_can_send(place: str) -> None:
    """Text of a subclass of `str` as the type of an entity that the source has others of."""
    loaded = load_text(PYTHON, entities=[{"type": "User", "id": "e"}, {"type": "Document", "id": "e"}])
    assert loaded.snapshot is not None
    asked: dict[str, Any] = {
        "principal": {"type": "User", "id": "u", "tags": ["a"]},
        "action": "retrieve",
        "resource": {"type": "Document", "id": "d"},
    }
    asked[place]["type"] = Text(asked[place]["type"])
    for kind in FAST:
        fast = evaluator(loaded.snapshot, kind)
        for _ in range(2):
            assert fast.decide(**asked) == reference(loaded.snapshot, asked)


@pytest.mark.slow
def test_the_generator_reaches_every_outcome() -> None:
    """Laws over policies that never hold would be idle: enough decisions are allow, enough rules hold, enough err."""
    seen = measure(400)
    assert seen.share("allow", "decisions") > 0.15
    assert seen.share("held", "rules") > 0.1
    assert seen.share("erred", "rules") > 0.01
    assert seen.share("owing", "decisions") > 0.02
    assert seen.share("allow, hostile", "decisions, hostile") > 0.05
