"""Calls as tasks, through the gateway: decided when they are made, observed when they end, and whose they are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError

from tests.mcp.shop import ANN, GATEWAY, Shop, free_port, listening, reached, text

SLOW = str(Path(__file__).with_name("slow.py"))
POLICIES = """
module slow
use ai

tool page(url: String) { sends_outside: false, reads_untrusted: true }
tool report(url: String) { sends_outside: false, reads_untrusted: true }
tool plain(url: String) { sends_outside: true, reads_untrusted: false }

permit pages: call on [Tool::"page", Tool::"report"] for User when not (tool.args.url like "secret*")
permit plain: call on Tool::"plain" for User when not ("saw" in session.labels)
label saw: receive on Tool::"page"
permit receiving: receive on Tool for User
require clean: receive on Tool redact(["email"])
"""
CLEAN = "Write to [email] at once."


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path, POLICIES)


async def asked(client: Client, method: str, **params: Any) -> dict[str, Any]:
    return await client.session._dispatcher.send_raw_request(method, params)


async def called(client: Client, name: str, url: str) -> dict[str, Any]:
    return await asked(client, "tools/call", name=name, arguments={"url": url}, task={"ttl": 60_000})


def behind(shop: Shop) -> list[str]:
    return shop.script(SLOW, str(shop.path / "ran"))


def test_a_task_is_decided_at_once_and_observed_when_it_ends(shop: Shop) -> None:
    async def steps(client: Client) -> Any:
        offered = client.server_capabilities.tasks
        before = await client.call_tool("plain", {"url": "x"})
        begun = await called(client, "page", "slow")
        id_ = begun["task"]["taskId"]
        status = (await asked(client, "tasks/get", taskId=id_))["status"]
        result = await asked(client, "tasks/result", taskId=id_)
        ended = (await asked(client, "tasks/get", taskId=id_))["status"]
        # The session has seen it, as if the call had waited.
        after = await client.call_tool("plain", {"url": "x"})
        secret = await called(client, "page", "secrets")
        with pytest.raises(MCPError) as no_task:
            await called(client, "plain", "x")
        tasks = (await asked(client, "tasks/list"))["tasks"]
        return (
            offered,
            before,
            (status, ended),
            result,
            after,
            secret,
            no_task.value.error.code,
            [one["taskId"] == id_ for one in tasks],
        )

    offered, before, statuses, result, after, secret, no_task, mine = shop.ask(
        steps, mode="legacy", behind=behind(shop)
    )
    assert offered.requests.tools.call is not None
    assert statuses == ("working", "completed")
    assert (before.is_error, after.is_error) == (False, True)
    assert result["content"] == [{"type": "text", "text": CLEAN}]
    assert secret["isError"] is True
    assert no_task == -32601
    assert mine == [True]
    assert shop.ran() == ["plain x", "page slow"]


def test_a_task_is_cancelled_once(shop: Shop) -> None:
    async def steps(client: Client) -> Any:
        id_ = (await called(client, "report", "hang"))["task"]["taskId"]
        while not shop.ran():
            await anyio.sleep(0.02)
        status = (await asked(client, "tasks/cancel", taskId=id_))["status"]
        result = await asked(client, "tasks/result", taskId=id_)
        with pytest.raises(MCPError) as again:
            await asked(client, "tasks/cancel", taskId=id_)
        while len(shop.ran()) < 2:
            await anyio.sleep(0.02)
        return status, result["isError"], again.value.error.code

    assert shop.ask(steps, mode="legacy", behind=behind(shop)) == ("cancelled", True, -32602)
    assert shop.ran() == ["report hang as a task", "hang was cancelled"]


def test_a_tool_that_runs_as_a_task_only_is_one_call(shop: Shop) -> None:
    async def steps(client: Client) -> Any:
        return text(await client.call_tool("report", {"url": "now"}))

    # Also for a client of a revision without tasks.
    assert shop.ask(steps, mode="auto", behind=behind(shop)) == CLEAN
    assert shop.ran() == ["report now as a task"]


@pytest.fixture
def served(shop: Shop) -> Iterator[str]:
    port = free_port()
    options = ["--policies", str(shop.policies), "-p", json.dumps(ANN), "--http", f":{port}"]
    with listening(port, *GATEWAY, *options, "--", *behind(shop)) as url:
        yield url


def test_a_task_is_nobody_elses(served: str) -> None:
    async def others(id_: str) -> Any:
        async def steps(client: Client) -> Any:
            refused = []
            for method in ("tasks/get", "tasks/result", "tasks/cancel"):
                with pytest.raises(MCPError) as error:
                    await asked(client, method, taskId=id_)
                refused.append(error.value.error.code)
            return refused, (await asked(client, "tasks/list"))["tasks"]

        return await anyio.to_thread.run_sync(lambda: reached(served, steps))

    async def mine(client: Client) -> Any:
        id_ = (await called(client, "page", "x"))["task"]["taskId"]
        return await others(id_), (await asked(client, "tasks/result", taskId=id_))["content"][0]["text"]

    (refused, listed), own = reached(served, mine)
    assert refused == [-32602] * 3
    assert listed == []
    assert own == CLEAN
