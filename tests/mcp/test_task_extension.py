"""Tasks of the revision 2026-07-28, through the gateway: whose server makes them, and whose they are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar, Literal

import anyio
import mcp_types as types
import pytest
from mcp import Client
from mcp.client.extension import ClaimContext, ClientExtension, ResultClaim
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from policyengine.mcp.kept_tasks import LIFE
from policyengine.mcp.methods import MOST_TASKS_OF_ONE
from tests.mcp.shop import ANN, GATEWAY, Shop, free_port, listening, text

SERVER = str(Path(__file__).with_name("going_on.py"))
TASKS = "io.modelcontextprotocol/tasks"
CLEAN = "Write to [email] at once."
POLICIES = """
module slow
use ai

tool page(url: String) { sends_outside: false, reads_untrusted: true }
tool plain(url: String) { sends_outside: true, reads_untrusted: false }

tool report(url: String) { sends_outside: false, reads_untrusted: true }
permit reports: call on Tool::"report" for User
permit pages: call on Tool::"page" for User when not (tool.args.url like "secret*")
permit plain: call on Tool::"plain" for User when not ("saw" in session.labels)
limit few: call on Tool::"page"
  at most 3 requests per 1d by principal
label saw: receive on Tool::"page"
permit receiving: receive on Tool for User
require clean: receive on Tool redact(["email"])
"""


class Begun(types.Result):
    result_type: Literal["task"]
    task_id: str
    status: str
    ttl_ms: int | None


class Status(types.Result):
    result_type: str
    task_id: str | None = None
    status: str | None = None
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None


class Asked(types.Request[Any, str]):
    method: str
    params: Any


class OfTask(Asked):
    name_param: ClassVar[str | None] = "taskId"


LISTEN = Asked(method="subscriptions/listen", params={"notifications": {"taskIds": ["x"]}})


async def asked(client: Client, method: str, id_: str, **more: Any) -> Status:
    return await client.session.send_request(OfTask(method=method, params={"taskId": id_, **more}), Status)


async def ended(client: Client, id_: str) -> Status:
    while (status := await asked(client, "tasks/get", id_)).status == "working":
        await anyio.sleep(0.02)
    return status


class Waits(ClientExtension):
    """What a client does with a task: asks after it, and hands out what the call came to."""

    identifier = TASKS

    def claims(self) -> list[ResultClaim[Any]]:
        return [ResultClaim(result_type="task", model=Begun, resolve=self.resolve)]

    async def resolve(self, begun: Begun, context: ClaimContext) -> types.CallToolResult:
        client: Any = type("Of", (), {"session": context.session})
        return types.CallToolResult.model_validate((await ended(client, begun.task_id)).result)


async def called(client: Client, name: str, url: str) -> Any:
    return await client.session.call_tool(name, {"url": url}, allow_claimed=True)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path, POLICIES)


def behind(shop: Shop) -> list[str]:
    return shop.script(SERVER, str(shop.path / "ran"))


@pytest.fixture(params=["stdio", "http"])
def way(request: pytest.FixtureRequest, shop: Shop) -> Iterator[Any]:
    """How a client reaches the gateway: as a child, or over HTTP."""
    if request.param == "stdio":

        @asynccontextmanager
        async def child(extensions: Any) -> Any:
            async with Client(shop.gateway(behind=behind(shop)), extensions=extensions) as client:
                yield client

        yield child
        return
    port = free_port()
    options = ["--policies", str(shop.policies), "-p", json.dumps(ANN), "--http", f":{port}"]
    with listening(port, *GATEWAY, *options, "--", *behind(shop)) as url:

        @asynccontextmanager
        async def over_http(extensions: Any) -> Any:
            async with Client(streamable_http_client(url), extensions=extensions) as client:
                yield client

        yield over_http


def ask(way: Any, steps: Any, *extensions: ClientExtension) -> Any:
    async def asking() -> Any:
        with anyio.fail_after(60):
            async with way(list(extensions)) as client:
                return await steps(client)

    return anyio.run(asking)


def test_a_task_is_decided_at_once_and_observed_when_it_ends(way: Any, shop: Shop) -> None:
    async def steps(client: Client) -> Any:
        before = await client.call_tool("plain", {"url": "x"})
        begun = await called(client, "page", "one")
        status = await ended(client, begun.task_id)
        again = await asked(client, "tasks/get", begun.task_id)
        # The session has seen it, as if the call had waited.
        after = await client.call_tool("plain", {"url": "x"})
        secret = await called(client, "page", "secrets")
        # Once for each: a task is charged when it is made, and asking after it costs nothing.
        more = [await called(client, "page", url) for url in ("two", "three", "four")]
        offered = client.server_capabilities.extensions
        return offered, before, begun, status, again, after, secret, more

    offered, before, begun, status, again, after, secret, more = ask(way, steps, Waits())
    assert TASKS in offered
    assert (begun.status, status.status, status.result_type) == ("working", "completed", "complete")
    assert begun.ttl_ms == LIFE
    assert status.result["content"] == [{"type": "text", "text": CLEAN}]
    assert again.result == status.result
    assert (before.is_error, after.is_error, secret.is_error) == (False, True, True)
    assert [isinstance(one, Begun) for one in more] == [True, True, False]
    assert more[2].is_error is True
    ran = [line for line in shop.ran() if not line.endswith("cancelled")]
    assert ran == ["plain x", "page one as a task", "page two as a task", "page three as a task"]


def test_a_client_that_waits_for_its_tasks_and_one_without_any_get_the_result(way: Any, shop: Shop) -> None:
    async def steps(client: Client) -> Any:
        return text(await client.call_tool("page", {"url": "x"}))

    assert ask(way, steps, Waits()) == CLEAN
    assert ask(way, steps) == CLEAN
    assert shop.ask(steps, mode="legacy", behind=behind(shop)) == CLEAN
    assert shop.ran() == ["page x as a task"] * 3


def test_a_task_is_cancelled_where_it_runs(way: Any, shop: Shop) -> None:
    async def steps(client: Client) -> Any:
        id_ = (await called(client, "page", "hang")).task_id
        first = await asked(client, "tasks/cancel", id_)
        status = (await asked(client, "tasks/get", id_)).status
        again = await asked(client, "tasks/cancel", id_)
        while len(shop.ran()) < 2:
            await anyio.sleep(0.02)
        return first.result_type, status, again.result_type

    assert ask(way, steps, Waits()) == ("complete", "cancelled", "complete")
    assert shop.ran() == ["page hang as a task", "hang was cancelled"]


def test_what_fails_behind_or_wants_to_ask_has_ended(way: Any, shop: Shop) -> None:
    async def steps(client: Client) -> Any:
        statuses = []
        for url in ("fails", "asks"):
            id_ = (await called(client, "page", url)).task_id
            # Nobody has asked for it.
            await asked(client, "tasks/update", id_, inputResponses={"name": {"action": "accept"}})
            statuses.append(await ended(client, id_))
        return statuses

    fails, asks = ask(way, steps, Waits())
    assert (fails.status, asks.status) == ("completed", "completed")
    assert (fails.result["isError"], asks.result["isError"]) == (True, True)
    assert fails.result["content"][0]["text"] == f"`page` failed: {CLEAN}"
    assert "not possible here" in asks.result["content"][0]["text"]


def test_who_does_not_know_tasks_and_who_did_not_make_one_have_none(way: Any, shop: Shop) -> None:
    async def refused(client: Client, methods: tuple[str, ...], id_: str) -> list[int]:
        codes = []
        for method in methods:
            with pytest.raises(MCPError) as error:
                await asked(client, method, id_)
            codes.append(error.value.error.code)
        return codes

    methods = ("tasks/get", "tasks/cancel", "tasks/update")

    async def unknown(client: Client) -> Any:
        return await refused(client, methods, "x"), await refused(client, ("tasks/result", "tasks/list"), "x")

    async def unsaid(client: Client) -> Any:
        with pytest.raises(MCPError) as listening:
            await client.session.send_request(LISTEN, Status)
        return [*await refused(client, methods, "x"), listening.value.error.code]

    assert ask(way, unknown, Waits()) == ([-32602] * 3, [-32601] * 2)
    assert ask(way, unsaid) == [-32021] * 4


@pytest.mark.parametrize("way", ["http"], indirect=True)
def test_a_task_is_nobody_elses(way: Any, shop: Shop) -> None:
    async def steps(client: Client) -> Any:
        # With this it keeps the session that it was given.
        await client.list_tools()
        id_ = (await called(client, "page", "x")).task_id

        async def others(other: Client) -> Any:
            await other.list_tools()
            with pytest.raises(MCPError) as refused:
                await asked(other, "tasks/get", id_)
            with pytest.raises(MCPError):
                await asked(other, "tasks/cancel", id_)
            return refused.value.error.code

        async with way([Waits()]) as other:
            code = await others(other)
        return code, (await ended(client, id_)).result

    code, result = ask(way, steps, Waits())
    assert code == -32602
    assert result["content"][0]["text"] == CLEAN


def test_a_client_with_too_many_tasks_waits(shop: Shop) -> None:
    async def steps(client: Client) -> Any:
        begun = [await called(client, "report", "hang") for _ in range(MOST_TASKS_OF_ONE)]
        return {type(one) for one in begun}, await called(client, "report", "x")

    async def asking() -> Any:
        with anyio.fail_after(60):
            async with Client(shop.gateway(behind=behind(shop)), extensions=[Waits()]) as client:
                return await steps(client)

    kinds, waited = anyio.run(asking)
    assert kinds == {Begun}
    assert text(waited) == CLEAN
