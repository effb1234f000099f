"""Calls that need a person: the one at the client is asked, or led to a page, or the call waits."""

from __future__ import annotations

from typing import Any

import anyio
import mcp_types as types
import pytest
from mcp import Client
from mcp.server.lowlevel import Server

from policyengine import Engine
from policyengine.mcp.approving import Approving, Means
from policyengine.mcp.gateway import Gateway
from policyengine.mcp.sessions import ClientSessions, Who
from policyengine.mcp.upstream import Upstream
from tests.mcp.shop import ANN, text

CLEO = {"type": "User", "id": "cleo", "tenant": "acme", "roles": [], "parents": [{"type": "Group", "id": "finance"}]}
POLICIES = """
module shop
use ai
tool pay(to: String) { sends_outside: true, reads_untrusted: false }
permit paying: call on Tool::"pay" for User
require person: call on Tool::"pay" approval(by: Group::"finance", within: 15m)
"""
MODES: list[Any] = ["legacy", "auto"]


def played(steps: Any, means: Means, answer: Any = None, mode: Any = "legacy") -> tuple[Any, list[str], list[Any]]:
    """What a client makes of it, what ran, and what its person was asked."""
    engine, ran, questions = Engine.from_text(POLICIES), [], []

    async def tools(*_: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[types.Tool(name="pay", input_schema={"type": "object"})])

    async def call(_: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        ran.append(str((params.arguments or {})["to"]))
        return types.CallToolResult(content=[types.TextContent(type="text", text="paid")])

    async def asked(_: Any, params: Any) -> types.ElicitResult:
        questions.append(params)
        return await answer(engine, params)

    async def playing() -> Any:
        with anyio.fail_after(30):
            async with Client(Server("behind", on_list_tools=tools, on_call_tool=call)) as upstream:
                sessions = ClientSessions(engine, Who(ANN, None))
                server = Gateway(sessions.of, [Upstream("", upstream)], approving=Approving(engine, means)).server()
                able: dict[str, Any] = {} if answer is None else {"elicitation_callback": asked}
                async with Client(server, mode=mode, **able) as client:
                    return await steps(client, engine)

    return anyio.run(playing), ran, questions


def says(action: Any, **content: Any) -> Any:
    async def answer(_: Engine, __: Any) -> types.ElicitResult:
        return types.ElicitResult(action=action, content=content or None)

    return answer


async def pays(client: Client, _: Engine) -> Any:
    return await client.call_tool("pay", {"to": "X-17"})


@pytest.mark.parametrize("mode", MODES)
def test_the_person_at_the_client_sees_what_would_run_and_it_runs_once(mode: Any) -> None:
    async def steps(client: Client, engine: Engine) -> Any:
        return [text(await pays(client, engine)) for _ in range(2)]

    said, ran, questions = played(steps, Means(approver=CLEO), says("accept", approve=True), mode)
    assert (said, ran) == (["paid", "paid"], ["X-17", "X-17"])
    # Each call is asked about.
    assert [('"to": "X-17"' in one.message, one.mode) for one in questions] == [(True, "form")] * 2


@pytest.mark.parametrize(
    ("approver", "answer", "status"),
    [
        (CLEO, says("accept", approve=False), "denied"),
        (CLEO, says("decline"), "denied"),
        (CLEO, says("accept"), "denied"),
        (CLEO, says("cancel"), "waits"),
        (ANN, says("accept", approve=True), "waits"),
        ({**CLEO, "parents": []}, says("accept", approve=True), "waits"),
    ],
    ids=["no", "declined", "nothing", "cancelled", "own_request", "nobody"],
)
@pytest.mark.parametrize("mode", MODES)
def test_without_a_yes_of_somebody_who_may_nothing_runs(approver: Any, answer: Any, status: str, mode: Any) -> None:
    result, ran, questions = played(pays, Means(approver=approver), answer, mode)
    assert (result.is_error, ran, len(questions)) == (True, [], 1)
    assert status in text(result)


@pytest.mark.parametrize("mode", MODES)
def test_a_client_is_led_to_the_page_and_the_call_waits(mode: Any) -> None:
    async def goes(engine: Engine, params: Any) -> types.ElicitResult:
        await engine.approvals.approve_async(params.url.rpartition("/")[2], CLEO)
        return types.ElicitResult(action="accept")

    result, ran, questions = played(pays, Means(page="https://pdp.example/approvals", wait=20), goes, mode)
    assert (text(result), ran) == ("paid", ["X-17"])
    assert questions[0].url.startswith("https://pdp.example/approvals/arq_")
    result, ran, _ = played(pays, Means(page="https://pdp.example/approvals", wait=20), says("decline"), mode)
    assert (result.is_error, ran) == (True, [])


def test_a_call_waits_until_somebody_has_decided() -> None:
    async def steps(client: Client, engine: Engine) -> Any:
        async with anyio.create_task_group() as tasks:

            async def decides() -> None:
                while not (waiting := await engine.approvals.list_async()):
                    await anyio.sleep(0.01)
                await engine.approvals.approve_async(waiting[0].id, CLEO)

            tasks.start_soon(decides)
            return await pays(client, engine)

    result, ran, _ = played(steps, Means(wait=20))
    assert (text(result), ran) == ("paid", ["X-17"])
    result, ran, _ = played(pays, Means(wait=0.01))
    assert (result.is_error, ran, "waits as arq_" in text(result)) == (True, [], True)


def test_an_answer_is_about_the_call_that_was_shown() -> None:
    """A client that takes an answer for one call to another is asked anew."""

    async def steps(client: Client, engine: Engine) -> Any:
        first = await client.session.call_tool("pay", {"to": "X-17"}, allow_input_required=True)
        assert isinstance(first, types.InputRequiredResult)
        yes = {name: types.ElicitResult(action="accept", content={"approve": True}) for name in first.input_requests}
        other = await client.session.call_tool(
            "pay", {"to": "EVIL-1"}, input_responses=yes, request_state=first.request_state, allow_input_required=True
        )
        return isinstance(other, types.InputRequiredResult)

    asked_again, ran, _ = played(steps, Means(approver=CLEO), says("cancel"), "auto")
    assert (asked_again, ran) == (True, [])
