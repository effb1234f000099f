"""What a decision says in public: only what is known to be so."""

from __future__ import annotations

from typing import Any

import pytest

from policyengine import Denied, Engine
from policyengine.guard import enforce

POLICIES = """
module m
use ai
permit anybody: call on Tool
forbid on_hold: call on Tool
  when "hold" in principal.roles
  because "on hold"
forbid rogue: call on Tool for Agent
  when principal.id == "rogue"
  because "no rogues"
require ask: call on Tool for User
  because "somebody has to agree"
  approval(by: Group::"owners")
"""


def decided(principal: dict[str, Any], **context: Any) -> Any:
    engine = Engine.from_text(POLICIES)
    return engine.decide(principal=principal, action="call", resource={"type": "Tool", "id": "t"}, context=context)


def test_a_rule_that_held_gives_its_reason() -> None:
    decision = decided({"type": "Service", "id": "s", "roles": ["hold"]})
    assert decision.reasons == ("on hold",)
    assert decision.summary == "denied by `m.on_hold`"


def test_a_rule_that_could_not_be_evaluated_gives_none() -> None:
    decision = decided({"type": "Service", "id": "s", "roles": "hold"})
    assert decision.decision == "deny"
    assert decision.determining == ("m.on_hold",)
    assert decision.reasons == ()
    assert decision.summary == "denied by `m.on_hold` (could not be evaluated)"
    with pytest.raises(Denied, match="could not be evaluated"):
        enforce(decision)


def test_an_approval_is_named_where_it_helps() -> None:
    agent = {"type": "Agent", "id": "a", "roles": []}
    decision = decided({"type": "User", "id": "ann", "roles": []}, agent=agent)
    assert [a.rule for a in decision.approvals] == ["m.ask"]
    assert decision.reasons == ("somebody has to agree",)


def test_an_approval_is_not_named_where_it_does_not_help() -> None:
    agent = {"type": "Agent", "id": "rogue", "roles": []}
    decision = decided({"type": "User", "id": "ann", "roles": []}, agent=agent)
    assert decision.determining == ("m.rogue",)
    assert decision.reasons == ("no rogues",)
    assert decision.approvals == ()
