"""What a condition that has no value comes to, by the kind of its rule.

p[r!] is p where the condition of r always errs. A head that cannot be told to fit errs as a condition does.

permit   decide(p[r!], q) = decide(p - r, q), but for the error
forbid   r in scope of q        ⇒  decide(p[r!], q) = deny
require  r in scope of q        ⇒  decide(p[r!], q) = decide(p[r with no condition], q), but for the error
limit    r in scope of q        ⇒  decide(p[r!], q) = deny
label    r in scope, allow      ⇒  r is among the labels
any      r in scope of q        ⇒  the error is reported; otherwise it is not
"""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from policyengine.model.decision import Decision
from tests.support.evaluators import fast_decide, reference
from tests.support.examples import half
from tests.support.policies import KINDS, Policies, RuleText
from tests.support.scenarios import Scenario, scenarios


def _with(kind: str) -> st.SearchStrategy[Scenario]:
    """Without delegation, and the last rule is of the kind."""
    return scenarios(("well-typed", "well-typed", "hostile"), agents=False, also=kind)


def _answers(scenario: Scenario, rule: RuleText, instead: RuleText | None) -> list[Decision]:
    rules = [instead if r is rule else r for r in scenario.policies.rules]
    made: Policies = scenario.policies.with_rules(r for r in rules if r is not None)
    snapshot = made.load(scenario.entities)
    answers = [fast_decide(snapshot, asked) for asked in scenario.requests]
    assert answers == [reference(snapshot, asked) for asked in scenario.requests]
    return answers


def _erring(scenario: Scenario, rule: RuleText) -> list[tuple[bool, Decision]]:
    """The answers where the rule errs, each with whether the rule did: in its condition, or before that in its head,
    where what the request is about cannot be placed in a hierarchy."""
    answers = _answers(scenario, rule, rule.erring())
    return [(f"policy.{rule.name}" in {e.rule for e in d.errors}, d) for d in answers]


def _bare(rule: RuleText) -> RuleText:
    return replace(rule, when="", unless="")


def _others(decision: Decision, rule: RuleText) -> Decision:
    return replace(
        decision, errors=tuple(replace(e, location="") for e in decision.errors if e.rule != f"policy.{rule.name}")
    )


@half
@given(_with("permit"))
def test_a_permit_that_errs_grants_nothing(scenario: Scenario) -> None:
    rule = scenario.policies.rules[-1]
    for (_, after), without in zip(_erring(scenario, rule), _answers(scenario, rule, None), strict=True):
        assert _others(after, rule) == _others(without, rule)


@half
@given(_with("forbid"))
def test_a_forbid_that_errs_denies(scenario: Scenario) -> None:
    rule = scenario.policies.rules[-1]
    for (erred, after), without in zip(_erring(scenario, rule), _answers(scenario, rule, None), strict=True):
        if erred:
            assert after.decision == "deny"
            assert f"policy.{rule.name}" in after.determining
        else:
            assert _others(after, rule) == _others(without, rule)


@half
@given(_with("require"))
def test_a_requirement_that_errs_is_imposed(scenario: Scenario) -> None:
    rule = replace(scenario.policies.rules[-1], tail='redact(["everything"])')
    others = [r for r in scenario.policies.rules if r.name != rule.name]
    scenario = replace(scenario, policies=scenario.policies.with_rules([rule, *others]))
    for (erred, after), imposed in zip(_erring(scenario, rule), _answers(scenario, rule, _bare(rule)), strict=True):
        if erred:
            assert _others(after, rule) == _others(imposed, rule)


@half
@given(_with("limit"))
def test_a_limit_that_errs_denies(scenario: Scenario) -> None:
    rule = scenario.policies.rules[-1]
    for erred, after in _erring(scenario, rule):
        if erred:
            assert after.decision == "deny"


@half
@given(_with("label"))
def test_a_label_that_errs_is_set(scenario: Scenario) -> None:
    rule = scenario.policies.rules[-1]
    for erred, after in _erring(scenario, rule):
        if erred and after.decision == "allow":
            assert rule.name in after.labels


@half
@given(st.sampled_from(KINDS).flatmap(_with))
def test_an_error_is_reported_exactly_where_the_rule_speaks(scenario: Scenario) -> None:
    """It speaks where it holds or errs without a condition, which a label shows for an allowed request."""
    rule = scenario.policies.rules[-1]
    bare = _answers(scenario, rule, RuleText("label", rule.name, rule.head))
    for after, spoken in zip(_answers(scenario, rule, rule.erring()), bare, strict=True):
        if spoken.decision == "allow":
            reported = f"policy.{rule.name}" in {e.rule for e in after.errors}
            assert reported == (rule.name in spoken.labels)
