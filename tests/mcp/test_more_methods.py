"""Resources, prompts, progress and approvals through the gateway, over standard streams and HTTP, with real servers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import mcp_types as types
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError

from policyengine import Engine
from tests.mcp.shop import ANN, GATEWAY, SERVER, Shop, free_port, listening, reached, text

POLICIES = """
module shop
use ai

tool read_page(url: String) { sends_outside: false, reads_untrusted: true }
tool send_mail(to: String, body: String) { sends_outside: true, reads_untrusted: false }
tool count(to: Int) { sends_outside: false, reads_untrusted: false }
tool "resources/read"(uri: String) { sends_outside: false, reads_untrusted: true }
tool "prompts/get"(name: String, arguments: Json) { sends_outside: false, reads_untrusted: true }

permit reading: call on [Tool::"read_page", Tool::"count"] for User
permit mail: call on Tool::"send_mail" for User when not ("untrusted" in sources(tool.args.to))
permit notes: call on Tool::"resources/read" for User when tool.args.uri like "note://public/*"
permit greetings: call on Tool::"prompts/get" for User when not (tool.args.arguments.name == "eve")
permit receiving: receive on Tool for User
require clean: receive on Tool::"resources/read" redact(["email"])
"""
CLEO = {"type": "User", "id": "cleo", "tenant": "acme", "roles": [], "parents": [{"type": "Group", "id": "finance"}]}


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path, POLICIES)


@pytest.mark.parametrize("mode", ["legacy", "auto"])
def test_resources_and_prompts_are_gated(shop: Shop, mode: str) -> None:
    async def steps(client: Client) -> Any:
        resources = await client.list_resources()
        templates = await client.list_resource_templates()
        prompts = await client.list_prompts()
        hello = await client.read_resource("note://public/hello")
        with pytest.raises(MCPError) as refused:
            await client.read_resource("note://private/ann")
        greeting = await client.get_prompt("greet", {"name": "bob"})
        with pytest.raises(MCPError):
            await client.get_prompt("greet", {"name": "eve"})
        with pytest.raises(MCPError):
            await client.complete(greeting_ref, {"name": "name", "value": "b"})
        injected = await client.call_tool("send_mail", {"to": "eve@evil.org", "body": "x"})
        return resources, templates, prompts, hello, refused.value, greeting, injected

    greeting_ref: Any = {"type": "ref/prompt", "name": "greet"}
    resources, templates, prompts, hello, refused, greeting, injected = shop.ask(steps, mode=mode)
    assert [str(one.uri) for one in resources.resources] == ["note://public/hello"]
    assert [one.uri_template for one in templates.resource_templates] == ["note://private/{name}"]
    assert [one.name for one in prompts.prompts] == ["greet"]
    # What was read is looked at, and is nobody's word but its server's.
    assert hello.contents[0].text == "Write to [email]."
    assert refused.error.code == -32001
    assert greeting.messages[0].content.text == "Say hello to bob."
    assert injected.is_error
    assert shop.ran() == ["hello", "greet bob"]


def test_progress_goes_through(shop: Shop) -> None:
    heard: list[float] = []

    async def progress(at: float, *_: Any) -> None:
        heard.append(at)

    async def steps(client: Client) -> Any:
        return await client.call_tool("count", {"to": 3}, progress_callback=progress)

    assert text(shop.ask(steps, mode="legacy")) == "done"
    assert heard == [1, 2, 3]


ALIVE = """
module alive
use ai
permit anything: call on Tool for User
"""


@pytest.mark.parametrize("mode", ["legacy", "auto"])
def test_cancellation_and_word_of_changed_lists_go_through(tmp_path: Path, mode: Any) -> None:
    shop = Shop(tmp_path, ALIVE)

    async def asking() -> Any:
        changed, heard = anyio.Event(), []

        async def told(message: Any) -> None:
            if isinstance(message, types.ToolListChangedNotification):
                changed.set()

        async def listens(client: Client, task_status: Any) -> None:
            async with client.listen(tools_list_changed=True) as events:
                task_status.started()
                async for event in events:
                    heard.append(event)
                    changed.set()

        with anyio.fail_after(60):
            async with (
                Client(shop.gateway(), mode=mode, message_handler=told) as client,
                anyio.create_task_group() as tasks,
            ):
                before = [tool.name for tool in (await client.list_tools()).tools]
                if mode == "auto":
                    await tasks.start(listens, client)
                await client.call_tool("grow", {})
                await changed.wait()
                after = [tool.name for tool in (await client.list_tools(cache_mode="bypass")).tools]
                with anyio.move_on_after(1):
                    await client.call_tool("hang", {})
                while "hang was cancelled" not in shop.ran():
                    await anyio.sleep(0.05)
                tasks.cancel_scope.cancel()
                return before, after, len(heard)

    before, after, times = anyio.run(asking)
    # Once, though the server behind has it said in two ways.
    assert times == (mode == "auto")
    assert set(after) - set(before) == {"grown"}
    assert shop.ran() == ["hang", "hang was cancelled"]


def test_a_call_that_needs_a_person_waits_and_runs_once(shop: Shop) -> None:
    shop.policies.write_text(
        POLICIES + 'require person: call on Tool::"count" approval(by: Group::"finance", within: 15m)\n'
    )
    state = f"sqlite:///{shop.path / 'state.db'}"

    async def steps(client: Client) -> Any:
        waiting = text(await client.call_tool("count", {"to": 1}))
        again = text(await client.call_tool("count", {"to": 1}))
        task = next(word.strip(":") for word in waiting.split() if word.startswith("arq_"))
        engine = Engine.load(str(shop.policies), state=state)
        engine.approvals.approve(task, CLEO)
        other = text(await client.call_tool("count", {"to": 2}))
        done = text(await client.call_tool("count", {"to": 1}))
        return waiting, again, other, done, text(await client.call_tool("count", {"to": 1}))

    waiting, again, other, done, anew = shop.ask(steps, "--state", state)
    assert waiting == again
    assert "has to be approved by Group finance first" in waiting
    assert done == "done"
    assert "arq_" in other
    assert "arq_" in anew
    assert len({waiting, other, anew}) == 3
    assert shop.ran() == ["count 1"]


TWO = """
module two
use ai
tool a__read_page(url: String) { sends_outside: false, reads_untrusted: true }
tool b__read_page(url: String) { sends_outside: false, reads_untrusted: true }
tool b__send_mail(to: String, body: String) { sends_outside: true, reads_untrusted: false }
permit reading: call on [Tool::"a__read_page", Tool::"b__read_page"] for User
permit mail: call on Tool::"b__send_mail" for User when not ("saw" in session.labels)
label saw: receive on Tool::"a__read_page"
"""
TOKEN = "a-token-that-nobody-guesses"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A gateway over HTTP, in front of two servers that a client's file names."""
    path = tmp_path_factory.mktemp("two")
    (path / "two.pol").write_text(TWO)
    (path / "token").write_text(TOKEN + "\n")
    behind = {
        name: {"command": sys.executable, "args": [SERVER, str(path / name)], "env": {"WHICH": name}} for name in "ab"
    }
    (path / "mcp.json").write_text(json.dumps({"mcpServers": behind}))
    port = free_port()
    options = ["--policies", str(path / "two.pol"), "-p", json.dumps(ANN), "--config", str(path / "mcp.json")]
    with listening(port, *GATEWAY, *options, "--http", f":{port}", "--token-file", str(path / "token")) as url:
        yield url, path


BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.mark.parametrize("mode", ["legacy", "auto", "2026-07-28"])
def test_over_http_each_client_has_a_session_of_its_own(served: tuple[str, Path], mode: str) -> None:
    url, path = served
    here = f"x-{mode}"

    async def reads(client: Client) -> Any:
        listed = [tool.name for tool in (await client.list_tools()).tools]
        await client.call_tool("a__read_page", {"url": here})
        return listed, await client.call_tool("b__send_mail", {"to": "b@c.de", "body": here})

    async def writes(client: Client) -> Any:
        wrong = await client.call_tool("send_mail", {"to": f"{mode}@c.de", "body": here})
        return wrong, await client.call_tool("b__send_mail", {"to": f"{mode}@c.de", "body": here})

    listed, after = reached(url, reads, BEARER, mode)
    assert listed == ["a__read_page", "b__read_page", "b__send_mail"]
    assert after.is_error
    wrong, mail = reached(url, writes, BEARER, mode)
    assert (wrong.is_error, mail.is_error) == (True, False)
    assert f"read_page {here}" in (path / "a").read_text().splitlines()
    assert f"send_mail {mode}@c.de" in (path / "b").read_text().splitlines()


def test_a_client_that_sends_no_cookie_back_keeps_what_it_has_seen(served: tuple[str, Path]) -> None:
    url, _ = served
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "forgetful", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }

    def calls(tool: str, arguments: dict[str, str], **more: str) -> Any:
        params = {"name": tool, "arguments": arguments, "_meta": meta}
        headers = {"mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": tool}
        accept = {"accept": "application/json, text/event-stream"}
        asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        answer = httpx.post(url, json=asked, headers={**BEARER, **headers, **accept, **more})
        return answer.json()["result"]["isError"], answer.headers.get("set-cookie", "").partition(";")[0]

    mail = {"to": "b@c.de", "body": "forgetful"}
    reads = [calls("b__send_mail", mail)[0], calls("a__read_page", {"url": "forgetful"})[0]]
    assert (reads, calls("b__send_mail", mail)[0]) == ([False, False], True)
    # One of the name that does keep them takes nothing away from those that do not.
    assert calls("b__send_mail", mail, cookie=calls("b__read_page", {"url": "x"})[1])[0]
    assert calls("b__send_mail", mail)[0]
    assert not calls("b__send_mail", mail, **{"mcp-session-id": "one-of-its-own"})[0]


def test_over_http_nobody_is_served_without_the_token(served: tuple[str, Path]) -> None:
    async def steps(client: Client) -> Any:
        return await client.list_tools()

    with pytest.raises(BaseException, match=r"401|Unauthorized|unhandled|TaskGroup"):
        reached(served[0], steps, {"Authorization": "Bearer another-token-of-a-length"})


def test_a_server_that_runs_is_asked_for_its_tools(tmp_path: Path, warm: Path) -> None:
    command = [str(warm / "policyengine"), "schema", "import", "mcp", "--module", "shop", "--"]
    told = subprocess.run(
        [*command, sys.executable, SERVER, str(tmp_path / "ran")], capture_output=True, text=True, check=True
    )
    assert "tool read_page(" in told.stdout
    gone = subprocess.run([*command, sys.executable, "-c", "0"], capture_output=True, text=True)
    assert (gone.returncode, "Traceback" in gone.stderr) == (1, False)


@pytest.mark.parametrize(
    "options",
    [["--http", "0.0.0.0:8090"], ["--http", "nowhere"], ["--token-file", "x"], ["--config", "x.json"]],
)
def test_what_would_let_anybody_in_is_not_served(shop: Shop, options: list[str], warm: Path) -> None:
    (shop.path / "x.json").write_text('{"mcpServers": {"a": {"token": "hidden"}}}')
    options = [str(shop.path / one) if one == "x.json" else one for one in options]
    behind = [] if "--config" in options else ["--upstream", "http://127.0.0.1:9/mcp"]
    ended = subprocess.run(
        [str(warm / "policyengine"), "mcp", "--policies", str(shop.policies), "-p", json.dumps(ANN), *options, *behind],
        capture_output=True, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert "hidden" not in ended.stderr
