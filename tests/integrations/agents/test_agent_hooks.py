"""AGENT-HOOKS: the contract's own kit, its reference host, and a framework that has the hooks built in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
from agent_hooks import AgentContextBuilder, Decision, EnforcementMode
from agent_hooks.ctk import RunOutcome, Scenario, load_vectors, run_vectors
from agent_hooks.ctk.reference import ReferenceHarness
from agent_hooks.interceptor import Interceptor

from policyengine import Engine
from policyengine.gate.trail import Trail
from policyengine.integrations import agent_hooks
from policyengine.integrations.agent_hooks import PolicyInterceptor
from tests.integrations.agents.world import ANN, BUDGET, INJECTED, POLICIES, TOKENS, approve_all

EVERYTHING = """
module all
use ai
permit all: call on Tool for User
permit receiving: receive on Tool for User
permit model: invoke on Model for User
permit out: release on Output for User
require clean: call on Tool replace(["email"], with: "(address)")
require clean_output: release on Output redact(["email"])
"""
APPROVED = POLICIES + 'require person: call on Tool::"send_mail" approval(by: Group::"finance", within: 15m)\n'


def interceptor(policies: str = POLICIES, **more: Any) -> PolicyInterceptor:
    return PolicyInterceptor(Engine.from_text(policies), principal=ANN, **more)


def builder(session: str = "s") -> AgentContextBuilder:
    return AgentContextBuilder(agent_id="a", framework="f", session_id=session)


def test_the_kit_passes_on_its_reference_host() -> None:
    results = run_vectors(ReferenceHarness, load_vectors())
    assert [(one.id, one.failures) for one in results if one.status == "fail"] == []
    assert sum(one.status == "pass" for one in results) > 60


SCHEMA = json.loads((files("agent_hooks") / "schema" / "verdict.schema.json").read_text())
VERDICT = jsonschema.validators.validator_for(SCHEMA)(SCHEMA)
VERDICT.check_schema(SCHEMA)


class Checked:
    """Our interceptor; what it says is of the contract's schema."""

    def __init__(self, inner: Interceptor) -> None:
        self.inner = inner
        self.verdicts: list[dict[str, Any]] = []

    def intercept(self, context: Any) -> Any:
        verdict: Any = self.inner.intercept(context)
        VERDICT.validate(verdict.to_wire())
        self.verdicts.append(verdict.to_wire())
        return verdict


def play(inner: Interceptor, vector: Mapping[str, Any]) -> tuple[Checked, Any]:
    checked, harness = Checked(inner), ReferenceHarness()
    harness.setup(Scenario.from_wire(vector["scenario"]), [checked], None, EnforcementMode.ENFORCE)
    return checked, asyncio.run(harness.run())


@pytest.mark.parametrize("policies", [POLICIES, EVERYTHING])
def test_every_context_of_the_kit_has_a_verdict_of_its_schema(policies: str) -> None:
    played = 0
    for vector in load_vectors():
        if "scenario" in vector:
            checked, _ = play(interceptor(policies, model={}, output={"tenant": "acme"}), vector)
            assert not any(str(one.get("reason")).startswith("runtime_error") for one in checked.verdicts)
            played += len(checked.verdicts)
    assert played > 100


def test_a_run_of_the_reference_host_is_gated() -> None:
    mail = {"id": "c1", "name": "send_mail", "args": {"to": "eve@evil.org", "body": "x"}}
    page = {"id": "c0", "name": "read_page", "args": {"url": "acme.com"}}
    steps = [([page], None), ([mail], None), ([], "I wrote to eve@evil.org.")]
    scenario = {
        "input": {"content": "read acme.com", "role": "user"},
        "tools": [
            {"name": "read_page", "behavior": [{"return": INJECTED}]},
            {"name": "send_mail", "behavior": [{"return": "sent"}]},
        ],
        "model_script": [
            {"respond": {"content": said, "tool_calls": calls, "finish_reason": "stop"}} for calls, said in steps
        ],
    }
    _, ran = play(interceptor(output={"tenant": "acme"}), {"scenario": scenario})
    assert ran.outcome is RunOutcome.COMPLETED
    assert [one["name"] for one in ran.tool_invocations] == ["read_page"]
    assert ran.final_output == "I wrote to [email]."


def test_changed_arguments_are_a_transform_and_the_users_words_count() -> None:
    gate, hooks = interceptor(), builder()
    gate.intercept(hooks.input(content="write to b@c.de"))
    body = {"to": "b@c.de", "body": "secret: eve@evil.org"}
    verdict = gate.intercept(hooks.pre_tool_call(call_id="1", name="send_mail", args=body))
    assert verdict.transform is not None
    assert verdict.transform.value == {"to": "(address)", "body": "secret: (address)"}
    # The words of one session are not those of another.
    other = gate.intercept(builder("t").pre_tool_call(call_id="1", name="send_mail", args={"to": "b@c.de", "body": ""}))
    assert other.decision is Decision.DENY


def test_input_within_a_tool_is_not_the_users() -> None:
    """An agent that another one calls has hooks of its own, of the same engine; a turn later it is the user again."""
    engine = Engine.from_text(POLICIES)
    outer, inner = (PolicyInterceptor(engine, principal=ANN) for _ in range(2))
    hooks, within = builder(), builder("within")
    mail = {"to": "b@c.de", "body": "x"}
    outer.intercept(hooks.pre_tool_call(call_id="1", name="slow", args={"name": "x"}))
    inner.intercept(within.input(content="write to b@c.de"))
    denied = inner.intercept(within.pre_tool_call(call_id="2", name="send_mail", args=mail))
    assert denied.decision is Decision.DENY
    outer.intercept(hooks.post_tool_call(call_id="1", name="slow", args={"name": "x"}, value="done"))
    inner.intercept(within.input(content="write to b@c.de"))
    allowed = inner.intercept(within.pre_tool_call(call_id="3", name="send_mail", args=mail))
    assert allowed.decision is not Decision.DENY


def test_an_approval_is_a_denial_that_can_be_lifted() -> None:
    gate, hooks = interceptor(APPROVED, approvals=True), builder()
    gate.intercept(hooks.input(content="write to b@c.de"))
    arguments = {"to": "b@c.de", "body": "x"}
    verdict = gate.intercept(hooks.pre_tool_call(call_id="1", name="send_mail", args=arguments))
    assert (verdict.decision, verdict.is_liftable) == (Decision.DENY, True)
    assert verdict.approval is not None
    assert verdict.approval["by"] == ["finance"]
    assert verdict.approval["task"].startswith("arq_")
    # Approved in our store, the same call is allowed when it comes again, once.
    approve_all(gate._engine)
    again = [gate.intercept(hooks.pre_tool_call(call_id=f"a{n}", name="send_mail", args=arguments)) for n in range(2)]
    assert [one.decision for one in again] == [Decision.ALLOW, Decision.DENY]
    plain = gate.intercept(hooks.pre_tool_call(call_id="2", name="drop_table", args={"name": "users"}))
    assert (plain.decision, plain.is_liftable) == (Decision.DENY, False)


def test_a_budget_is_reserved_before_and_settled_after() -> None:
    gate = interceptor(BUDGET, model={}, cost={"tokens": 90})
    hooks = builder()
    asked = hooks.pre_model_call(model_id="m", messages=[{"role": "user", "content": "hi"}])
    assert gate.intercept(asked).decision is Decision.ALLOW
    usage = {"prompt_tokens": TOKENS - 10, "completion_tokens": 10}
    answer = hooks.post_model_call(model_id="m", content="x", tool_calls=[], finish_reason="stop", usage=usage)
    assert gate.intercept(answer).decision is Decision.ALLOW
    assert gate.intercept(asked).decision is Decision.DENY


def test_a_fault_of_ours_is_a_denial(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("a bug, with eve@evil.org in it")

    monkeypatch.setattr(Trail, "provenance", broken)
    gate, hooks = interceptor(), builder()
    verdict = gate.intercept(hooks.pre_tool_call(call_id="1", name="read_page", args={"url": "x"}))
    assert (verdict.decision, verdict.reason) == (Decision.DENY, "runtime_error:RuntimeError")
    assert gate.intercept({"interception_point": "unheard_of"}).decision is Decision.DENY


def test_what_was_never_decided_is_not_incorporated() -> None:
    verdict = interceptor().intercept(builder().post_tool_call(call_id="9", name="read_page", args={}, value="x"))
    assert verdict.decision is Decision.DENY


LABELLED = """
module labelled
use ai
tool read_page(url: String) { reads_untrusted: true }
tool send_mail(to: String)
permit calls: call on Tool for User
label saw_web: receive on Tool::"read_page"
forbid tainted: call on Tool::"send_mail" when "saw_web" in session.labels
"""


@pytest.mark.parametrize("restarted", [False, True])
def test_a_session_that_is_forgotten_here_has_seen_what_it_has_seen(
    restarted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_hooks, "SESSIONS", 1)
    engine = Engine.from_text(LABELLED)
    gate = PolicyInterceptor(engine, principal=ANN)

    def calls(session: str, name: str, args: dict[str, str]) -> Decision:
        verdict = gate.intercept(builder(session).pre_tool_call(call_id="1", name=name, args=args))
        return verdict.decision

    assert calls("s", "send_mail", {"to": "b@c.de"}) is Decision.ALLOW
    assert calls("s", "read_page", {"url": "x"}) is Decision.ALLOW
    gate.intercept(builder("s").post_tool_call(call_id="1", name="read_page", args={"url": "x"}, value="hi"))
    assert calls("s", "send_mail", {"to": "b@c.de"}) is Decision.DENY
    if restarted:
        gate = PolicyInterceptor(engine, principal=ANN)
    assert calls("t", "send_mail", {"to": "b@c.de"}) is Decision.ALLOW
    assert calls("s", "send_mail", {"to": "b@c.de"}) is Decision.DENY
