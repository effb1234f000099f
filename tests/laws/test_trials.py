"""A rule with `on match log` changes nothing, and says what it would have done.

decide(p + tried r, q) = decide(p, q), but for `tried`
decide(p + tried r, q).tried says decide(p + r, q).decision, if r speaks
filter(p + tried r, q) is true of what filter(p, q) is true of, and explains itself alike
"""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from policyengine import Engine
from policyengine.model.decision import Decision
from tests.laws.test_filters import DOCUMENTS, conditions, heads, policies, some_of_them, who
from tests.support.evaluators import FAST, evaluator, fast_decide, reference
from tests.support.examples import few
from tests.support.filter_corpus import ENTITIES, PRINCIPAL
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


@st.composite
def _tried(draw: st.DrawFn) -> str:
    kind = draw(st.sampled_from(KINDS))
    owed = "\n  note()" if kind == "require" else ""
    return f"{kind} z: read on {draw(heads)}{draw(who)}\n  when {draw(conditions)}\n  on match log{owed}\n"


@few(4)
@given(policies(), _tried(), some_of_them)
def test_a_filter_leaves_it_out(text: str, more: str, some: list[int]) -> None:
    """What two filters are true of is compared: their formulas hold the entities of the engine that made them."""
    text += "obligation note()\n"
    documents = [DOCUMENTS[number] for number in some]
    one, other = (
        Engine.from_text(each, entities=ENTITIES).filter(principal=PRINCIPAL, action="read", resource_type="Doc")
        for each in (text, text + more)
    )
    assert other.recheck(documents) == one.recheck(documents)
    assert (other.kind, other.explain()) == (one.kind, one.explain())
