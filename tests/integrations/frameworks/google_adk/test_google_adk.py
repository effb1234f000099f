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
from tests.integrations.agents.world import ANN, INJECTED, POLICIES, Ran, Tools
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


def test_a_call_that_is_confirmed_later_does_not_run_past_the_gate() -> None:
    tools, ran = Tools(), Ran()
    mail = FunctionTool(tools.functions()[1], require_confirmation=True)
    whole = agent([mail], [[("send_mail", {"to": "b@c.de", "body": "x"})], "ok", "ok"], ran)
    gate = PolicyPlugin(Engine.from_text(POLICIES), principal=ANN)
    runner = InMemoryRunner(agent=whole, app_name="app", plugins=[gate])

    async def work() -> None:
        kit = await runner.session_service.create_session(app_name="app", user_id="ann")
        waiting = ""
        for said in (types.Part(text="write to b@c.de"), None):
            if said is None:
                answer = types.FunctionResponse(
                    id=waiting, name="adk_request_confirmation", response={"confirmed": True}
                )
                said = types.Part(function_response=answer)
            message = types.Content(role="user", parts=[said])
            async for one in runner.run_async(user_id="ann", session_id=kit.id, new_message=message):
                for call in one.get_function_calls():
                    waiting = str(call.id) if call.name == "adk_request_confirmation" else waiting

    asyncio.run(work())
    assert tools.ran == []


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


NO_FILES = """
use ai
permit ask: invoke on Model for User
forbid files: invoke on Model when size(context.input.files) > 0
"""


@pytest.mark.parametrize("kind", ["text", "bytes"])
def test_a_file_is_admitted_as_a_file(kind: str) -> None:
    ran = Ran()
    gate = PolicyPlugin(Engine.from_text(NO_FILES), principal=ANN, model={})
    runner = InMemoryRunner(agent=agent([], ["ok"], ran), app_name="app", plugins=[gate])
    part = {
        "text": types.Part(text="look"),
        "bytes": types.Part.from_bytes(data=b"\x89PNG\r\n", mime_type="image/png"),
    }[kind]

    async def work() -> Any:
        kit = await runner.session_service.create_session(app_name="app", user_id="ann")
        said = types.Content(role="user", parts=[types.Part(text="this:"), part])
        return [one async for one in runner.run_async(user_id="ann", session_id=kit.id, new_message=said)]

    events = asyncio.run(work())
    assert bool(ran.seen) is (kind == "text")
    assert (events[-1].content.parts[0].text == "ok") is (kind == "text")
