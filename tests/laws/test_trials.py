"""A rule with `on match log` changes nothing, and says what it would have done.

decide(p + tried r, q) = decide(p, q), but for `tried`
decide(p + tried r, q).tried says decide(p + r, q).decision, if r speaks
"""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from policyengine.model.decision import Decision
from tests.support.evaluators import FAST, evaluator, fast_decide, reference
from tests.support.policies import Policies
from tests.support.scenarios import Scenario, scenarios

KINDS = ("permit", "forbid", "require", "label")


def _scenarios() -> st.SearchStrategy[Scenario]:
    return st.sampled_from(KINDS).flatmap(lambda kind: scenarios(("well-typed", "well-typed", "hostile"), also=kind))


def _last(policies: Policies, erring: bool, tried: bool) -> Policies:
    """The policies, with their last rule tried, or made to err."""
    *others, last = policies.rules
    return policies.with_rules((*others, replace(last.erring() if erring else last, tried=tried)))


def _untold(decision: Decision) -> Decision:
    return replace(decision, tried=())


@given(_scenarios(), st.booleans())
def test_a_rule_that_is_tried_changes_nothing_and_tells_what_it_would(scenario: Scenario, erring: bool) -> None:
    without = scenario.policies.with_rules(scenario.policies.rules[:-1]).load(scenario.entities)
    trying = _last(scenario.policies, erring, True).load(scenario.entities)
    in_force = _last(scenario.policies, erring, False).load(scenario.entities)
    for asked in scenario.requests:
        found = reference(trying, asked)
        assert _untold(found) == fast_decide(without, asked)
        for trial in found.tried:
            assert trial.decision == reference(in_force, asked).decision
        for kind in FAST:
            fast = evaluator(trying, kind)
            for _ in range(2):
                parts = (asked.get("principal"), asked.get("action"), asked.get("resource"), asked.get("context"))
                assert fast.decide(*parts) == found
