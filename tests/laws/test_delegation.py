"""Delegation intersects: decide(q for p by a1 ... an) = allow  ⇔  p and every ai alone are allowed what q asks.

A chain that cannot be followed is denied. What is owed adds up. Alone means with the same context: the agent is still
in it.
"""

from __future__ import annotations

from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from policyengine.evaluate.decide import verdicts
from policyengine.evaluate.delegation import MAX_CHAIN, actors
from policyengine.evaluate.interpret import Env
from policyengine.model.request import request
from policyengine.model.values import Fault
from tests.support.evaluators import fast_decide, reference
from tests.support.requests import chains, hostile_values
from tests.support.scenarios import Scenario, scenarios


@given(st.data(), scenarios(("well-typed",), agents=False, min_rules=2))
def test_rights_intersect(data: st.DataObject, scenario: Scenario) -> None:
    snapshot = scenario.snapshot()
    asked = scenario.requests[0]
    asked = {**asked, "context": {**asked["context"], "agent": data.draw(chains(scenario.policies.schema))}}
    together = fast_decide(snapshot, asked)
    understood = request(**asked)
    try:
        everyone = actors(understood, snapshot.world, snapshot.schema)
    except Fault:
        everyone = (understood,)
        followed = False
    else:
        followed = True
    allowed = [_alone(snapshot, one) for one in everyone]
    assert (together.decision == "allow") == (followed and all(allowed))
    assert followed or together.errors[0].code == "POL507"


def _alone(snapshot: Any, understood: Any) -> bool:
    """Whether the rules as such allow it: a permit holds, no forbid holds or errs, ..., said once more and in short."""
    action = snapshot.schema.actions.get(understood.action.name)
    if action is None or (action.principals is not None and understood.principal.uid.type not in action.principals):
        return False
    if action.resources is not None and understood.resource.uid.type not in action.resources:
        return False
    found = verdicts(snapshot.policies.rules, Env(understood, snapshot.world))
    held, erred = [r.kind for r in found.held], [r.kind for r in found.erred]
    imposed = [r for r in (*found.held, *found.erred) if r.kind == "require"]
    # A property that cannot be computed denies too.
    assume(not any(o.type == "note" for r in imposed for o in r.obligations))
    approval = any(r.demands_approval for r in imposed)
    return "permit" in held and "forbid" not in held + erred and "limit" not in erred and not approval


@given(st.data(), scenarios(("well-typed",), agents=False))
def test_an_agent_never_adds_a_right(data: st.DataObject, scenario: Scenario) -> None:
    """But for rules that read the agent in the context: those are left out here."""
    assume("agent" not in "".join(r.text for r in scenario.policies.rules) + "".join(scenario.policies.defines))
    snapshot = scenario.snapshot()
    asked = scenario.requests[0]
    alone = fast_decide(snapshot, asked)
    agent = data.draw(chains(scenario.policies.schema) | hostile_values)
    together = fast_decide(snapshot, {**asked, "context": {**asked["context"], "agent": agent}})
    assert together.decision == "deny" or alone.decision == "allow"
    if together.decision == "allow":
        assert all(o in together.obligations for o in alone.obligations)
        assert set(together.labels) >= set(alone.labels)
        assert set(together.limits) >= set(alone.limits)


@given(st.integers(1, MAX_CHAIN + 4), st.booleans(), scenarios(("well-typed",), agents=False))
def test_a_chain_that_cannot_be_followed_is_denied(length: int, circular: bool, scenario: Scenario) -> None:
    agent: dict[str, Any] = {"type": "Agent", "id": "last"}
    if circular:
        agent["delegated_by"] = {"type": "Agent", "id": "0"}
    for i in reversed(range(length)):
        agent = {"type": "Agent", "id": str(i), "delegated_by": agent}
    snapshot = scenario.snapshot()
    asked = scenario.requests[0]
    decision = fast_decide(snapshot, {**asked, "context": {**asked["context"], "agent": agent}})
    # Agents 0 to length - 1 and the last; a circular chain comes back to the first.
    if length + 1 > MAX_CHAIN or circular:
        assert decision.decision == "deny"
        assert decision.errors[0].code == "POL507"
    assert decision == reference(snapshot, {**asked, "context": {**asked["context"], "agent": agent}})
