"""What more rules can do.

decide(p + forbid, q) = allow  ⇒  decide(p, q) = allow
decide(p, q) = allow           ⇒  decide(p + permit, q) = allow, owing the same
decide(p + require, q) = allow ⇒  decide(p, q) = allow, owing no more
decide(p + label, q), decide(p + limit that does not err, q) decide as decide(p, q)
decide(p, q, approved) = allow ⇒  decide(p, q, approved + more) = allow
"""

from __future__ import annotations

from hypothesis import given

from policyengine.model.decision import Decision
from tests.support.evaluators import fast_decide, reference
from tests.support.scenarios import Scenario, scenarios


def _answers(scenario: Scenario, *without: str) -> list[Decision]:
    made = scenario.policies
    snapshot = made.with_rules(r for r in made.rules if r.kind not in without).load(scenario.entities)
    return [fast_decide(snapshot, asked) for asked in scenario.requests]


def _without_one(scenario: Scenario, kind: str) -> list[Decision] | None:
    """The answers without the last rule of a kind; None if there is no such rule."""
    rules = list(scenario.policies.rules)
    for rule in reversed(rules):
        if rule.kind == kind:
            rules.remove(rule)
            snapshot = scenario.policies.with_rules(rules).load(scenario.entities)
            return [fast_decide(snapshot, asked) for asked in scenario.requests]
    return None


@given(scenarios(min_rules=3))
def test_adding_a_forbid_never_allows(scenario: Scenario) -> None:
    for fewer in (_without_one(scenario, "forbid"), _answers(scenario, "forbid")):
        for before, after in zip(fewer or [], _answers(scenario), strict=False):
            assert after.decision == "deny" or before.decision == "allow"


@given(scenarios(min_rules=3))
def test_adding_a_permit_never_denies(scenario: Scenario) -> None:
    for fewer in (_without_one(scenario, "permit"), _answers(scenario, "permit")):
        for before, after in zip(fewer or [], _answers(scenario), strict=False):
            if before.decision == "allow":
                assert after.decision == "allow"
                assert after.obligations == before.obligations
                assert set(after.determining) >= set(before.determining)


@given(scenarios(min_rules=3))
def test_without_a_permit_nothing_is_allowed(scenario: Scenario) -> None:
    assert all(d.decision == "deny" for d in _answers(scenario, "permit"))


@given(scenarios(min_rules=3))
def test_adding_a_requirement_never_allows(scenario: Scenario) -> None:
    for before, after in zip(_answers(scenario, "require"), _answers(scenario), strict=True):
        if after.decision == "allow":
            assert before.decision == "allow"
            assert before.determining == after.determining


@given(scenarios(min_rules=3))
def test_a_label_decides_nothing(scenario: Scenario) -> None:
    for before, after in zip(_answers(scenario, "label"), _answers(scenario), strict=True):
        assert (before.decision, before.determining, before.obligations) == (
            after.decision, after.determining, after.obligations
        )  # fmt: skip


@given(scenarios(min_rules=3))
def test_a_limit_only_ever_denies_when_it_errs(scenario: Scenario) -> None:
    limits = {f"policy.{r.name}" for r in scenario.policies.rules if r.kind == "limit"}
    for before, after in zip(_answers(scenario, "limit"), _answers(scenario), strict=True):
        erred = {e.rule for e in after.errors} & limits
        assert after.decision == before.decision or (after.decision == "deny" and erred)


@given(scenarios(min_rules=3))
def test_an_approval_never_denies(scenario: Scenario) -> None:
    snapshot = scenario.snapshot()
    approvals = [rule.name for rule in snapshot.policies.rules if rule.demands_approval]
    for asked in scenario.requests:
        decisions = [reference(snapshot, asked, approvals[:n]).decision for n in range(len(approvals) + 1)]
        assert decisions == sorted(decisions, reverse=True)  # deny ... deny allow ... allow
