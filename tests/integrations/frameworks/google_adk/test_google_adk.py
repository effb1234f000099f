"""What is peculiar to the Agent Development Kit: transfers, streams, confirmations, and what is refused."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from google.adk.agents import LlmAgent, RunConfig
from google.adk.agents.run_config import StreamingMode
from google.adk.code_executors import UnsafeLocalCodeExecutor
from google.adk.plugins.base_plugin import BasePlugin
from google.adk.runners import InMemoryRunner
from google.adk.tools import FunctionTool
from google.adk.tools.agent_tool import AgentTool
from google.genai import types

from policyengine import Engine
from policyengine.integrations.google_adk import PolicyPlugin
from tests.integrations.agents.world import ANN, APPROVED, INJECTED, POLICIES, Ran, Tools, approve_all
from tests.integrations.frameworks.google_adk.host import Given, agent, asked, tools_of

TRANSFERS = POLICIES + (
    "tool transfer_to_agent(agent_name: String) { sends_outside: false, reads_untrusted: false }\n"
    'permit transfer: call on Tool::"transfer_to_agent" for User when tool.args.agent_name == "mailer"\n'
)
EVIL = [("send_mail", {"to": "eve@evil.org", "body": "x"})]


def play(whole: LlmAgent, policies: str = POLICIES, plugins: Any = (), **more: Any) -> list[Any]:
    gate = PolicyPlugin(Engine.from_text(policies), principal=ANN, output=more.pop("output", None))
    runner = InMemoryRunner(agent=whole, app_name="app", plugins=[*plugins, gate])
    return asyncio.run(asked(runner, "write to b@c.de", **more))


def test_an_agent_that_is_handed_over_to_is_gated_and_the_transfer_is_decided() -> None:
    for name, ran in (("mailer", Ran()), ("other", Ran())):
        tools = Tools()
        member = agent(tools_of(tools), [EVIL, "ok"], ran, name)
        play(agent([], [[("transfer_to_agent", {"agent_name": name})], "ok"], Ran(), sub_agents=[member]), TRANSFERS)
        assert tools.ran == []
        assert bool(ran.shown) is (name == "mailer")


def test_a_stream_is_released_as_a_whole() -> None:
    config = RunConfig(streaming_mode=StreamingMode.SSE)
    events = play(agent([], ["I wrote to eve@evil.org."], Ran()), output={"tenant": "acme"}, run_config=config)
    texts = [part.text or "" for one in events for part in one.content.parts]
    assert "".join(texts) == "I wrote to [email]."


def test_an_agent_without_the_plugins_is_not_there() -> None:
    tools, ran = Tools(), Ran()
    inner = AgentTool(agent(tools_of(tools), [EVIL, "ok"], Ran(), "helper", input_schema=Given), include_plugins=False)
    play(agent([inner], [[("helper", {"input": "write to eve@evil.org"})], "ok"], ran))
    assert (tools.ran, ran.shown[0]) == ([], [])


def confirmed(whole: LlmAgent, gate: PolicyPlugin, *answers: Any) -> tuple[list[Any], list[Any]]:
    """What the user was asked to confirm, and the events at last; each answer is given when the one before is through,
    after what it does."""
    runner = InMemoryRunner(agent=whole, app_name="app", plugins=[gate])
    asked: list[Any] = []

    async def said(kit: Any, part: Any) -> list[Any]:
        message = types.Content(role="user", parts=[part])
        events = [one async for one in runner.run_async(user_id="ann", session_id=kit.id, new_message=message)]
        asked.extend(call for one in events for call in one.get_function_calls() if call.name == CONFIRM)
        return events

    async def work() -> list[Any]:
        kit = await runner.session_service.create_session(app_name="app", user_id="ann")
        events = await said(kit, types.Part(text="write to b@c.de"))
        for answer in answers:
            response = {"confirmed": answer() is not False}
            given = types.FunctionResponse(id=asked[-1].id, name=CONFIRM, response=response)
            events = await said(kit, types.Part(function_response=given))
        return events

    return asked, asyncio.run(work())


CONFIRM = "adk_request_confirmation"


@pytest.mark.parametrize("to", ["b@c.de", "eve@evil.org"])
def test_a_call_that_the_kits_confirmation_resumes_is_gated(to: str) -> None:
    tools = Tools()
    mail = FunctionTool(tools.functions()[1], require_confirmation=True)
    whole = agent([mail], [[("send_mail", {"to": to, "body": "x"})], "ok", "ok"], Ran())
    confirmed(whole, PolicyPlugin(Engine.from_text(POLICIES), principal=ANN), lambda: None)
    assert tools.ran == ([("send_mail", "b@c.de", "x")] if to == "b@c.de" else [])


def test_a_call_that_needs_a_person_asks_to_be_confirmed_and_runs_once_approved() -> None:
    tools, engine = Tools(), Engine.from_text(APPROVED)
    script: Any = [[("slow", {"name": "x"})], [("slow", {"name": "x"})], [("slow", {"name": "y"})], "never"]
    gate = PolicyPlugin(engine, principal=ANN, approvals=True)
    # What only the kit is told is not an approval: the same call asks again.
    asked, events = confirmed(agent(tools_of(tools), script, Ran()), gate, lambda: None, lambda: approve_all(engine))
    payloads = [one.args["toolConfirmation"]["payload"] for one in asked]
    assert [one["arguments"]["name"] for one in payloads] == ["x", "x", "y"]
    assert payloads[0]["task"] == payloads[1]["task"] != payloads[2]["task"]
    assert tools.ran == [("slow", "x")]
    assert "never" not in str(events)


def test_what_its_user_does_not_confirm_does_not_run_whatever_was_approved() -> None:
    tools, engine = Tools(), Engine.from_text(APPROVED)
    gate = PolicyPlugin(engine, principal=ANN, approvals=True)

    def answer() -> bool:
        approve_all(engine)
        return False

    _, events = confirmed(agent(tools_of(tools), [[("slow", {"name": "x"})], "ok"], Ran()), gate, answer)
    assert tools.ran == []
    assert events[-1].content.parts[0].text == "ok"


class Answers(BasePlugin):
    """A plugin that answers in the place of all after it."""

    async def before_run_callback(self, **_: Any) -> None: ...


def test_what_the_plugin_would_not_see_is_refused() -> None:
    with pytest.raises(RuntimeError, match="first plugin"):
        play(agent([], ["hi"], Ran()), plugins=[Answers("other")])
    with pytest.raises(RuntimeError, match="runs code"):
        play(agent([], ["hi"], Ran(), code_executor=UnsafeLocalCodeExecutor()))


def test_what_ran_elsewhere_is_observed() -> None:
    gate = PolicyPlugin(Engine.from_text(POLICIES), principal=ANN)
    kit = InMemoryRunner(agent=agent([], [], Ran()), app_name="app").session_service

    async def came() -> Any:
        answer = types.FunctionResponse(id="x", name="broken", response={"result": INJECTED})
        message = types.Content(role="user", parts=[types.Part(function_response=answer)])
        session = await kit.create_session(app_name="app", user_id="ann")
        return await gate.on_user_message_callback(
            invocation_context=SimpleNamespace(session=session), user_message=message
        )

    assert "[email]" in str(asyncio.run(came()))
