"""What more rules can do.

decide(p + forbid, q) = allow  ⇒  decide(p, q) = allow
decide(p, q) = allow           ⇒  decide(p + permit, q) = allow, owing the same
decide(p + require, q) = allow ⇒  decide(p, q) = allow, owing no more
decide(p + label, q), decide(p + limit that does not err, q) decide as decide(p, q)
decide(p, q, approved) = allow ⇒  decide(p, q, approved + more) = allow
"""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from policyengine.model.decision import Decision
from tests.support.evaluators import fast_decide, reference
from tests.support.examples import half
from tests.support.scenarios import Scenario, scenarios


def _with(kind: str) -> st.SearchStrategy[Scenario]:
    """The last rule is of the kind."""
    return scenarios(("well-typed", "well-typed", "hostile"), also=kind)


def _without_the_last(scenario: Scenario) -> list[tuple[Decision, Decision]]:
    """The answers before the last rule was added, and after."""
    before = scenario.policies.with_rules(scenario.policies.rules[:-1]).load(scenario.entities)
    after = scenario.snapshot()
    return [(fast_decide(before, asked), fast_decide(after, asked)) for asked in scenario.requests]


@half
@given(_with("forbid"))
def test_adding_a_forbid_never_allows(scenario: Scenario) -> None:
    for before, after in _without_the_last(scenario):
        assert after.decision == "deny" or before.decision == "allow"


@half
@given(_with("permit"))
def test_adding_a_permit_never_denies(scenario: Scenario) -> None:
    for before, after in _without_the_last(scenario):
        if before.decision == "allow":
            assert after.decision == "allow"
            assert after.obligations == before.obligations
            assert set(after.determining) >= set(before.determining)


@half
@given(scenarios(min_rules=2))
def test_without_a_permit_nothing_is_allowed(scenario: Scenario) -> None:
    snapshot = scenario.policies.with_rules(r for r in scenario.policies.rules if r.kind != "permit").load()
    assert all(fast_decide(snapshot, asked).decision == "deny" for asked in scenario.requests)


@half
@given(_with("require"))
def test_adding_a_requirement_never_allows(scenario: Scenario) -> None:
    for before, after in _without_the_last(scenario):
        if after.decision == "allow":
            assert before.decision == "allow"
            assert before.determining == after.determining
            assert all(owed in after.obligations for owed in before.obligations)


@half
@given(_with("label"))
def test_a_label_decides_nothing(scenario: Scenario) -> None:
    for before, after in _without_the_last(scenario):
        assert replace(after, labels=(), errors=()) == replace(before, labels=(), errors=())
        assert set(after.labels) >= set(before.labels)


@half
@given(_with("limit"))
def test_a_limit_only_ever_denies_when_it_errs(scenario: Scenario) -> None:
    limit = f"policy.{scenario.policies.rules[-1].name}"
    for before, after in _without_the_last(scenario):
        erred = limit in {e.rule for e in after.errors}
        assert after.decision == before.decision or (after.decision == "deny" and erred)


@half
@given(_with("require"))
def test_an_approval_never_denies(scenario: Scenario) -> None:
    snapshot = scenario.snapshot()
    approvals = [rule.name for rule in snapshot.policies.rules if rule.demands_approval]
    for asked in scenario.requests:
        decisions = [reference(snapshot, asked, approvals[:n]).decision for n in range(len(approvals) + 1)]
        assert decisions == sorted(decisions, reverse=True)  # deny ... deny allow ... allow
