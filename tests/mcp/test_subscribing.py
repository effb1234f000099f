"""Who subscribes to a resource, or sets the level of a log, hears of it through the gateway, and nobody else does."""

from __future__ import annotations

from typing import Any

import anyio
import mcp_types as types
import pytest
from mcp import Client
from mcp.server.lowlevel import Server
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import ResourceUpdated

from policyengine import Engine
from policyengine.mcp.changes import Changes
from policyengine.mcp.gateway import Gateway
from policyengine.mcp.sessions import ClientSessions, Who
from policyengine.mcp.upstream import Upstream
from tests.mcp.shop import ANN

POLICIES = """
module notes
use ai

tool "resources/subscribe"(uri: String) { sends_outside: false, reads_untrusted: true }
tool "logging/setLevel"(level: String) { sends_outside: false, reads_untrusted: true }

permit notes: call on Tool::"resources/subscribe" for User when tool.args.uri like "note://public/*"
permit logs: call on Tool::"logging/setLevel" for User when tool.args.level != "debug"
label logged: receive on Tool::"logging/setLevel"
permit receiving: receive on Tool for User
require clean: receive on Tool::"logging/setLevel" redact(["email"])
"""
PUBLIC, OTHER = "note://public/a", "note://public/b"


class Notes:
    """A server behind of either revision, whose notes change when it is told so."""

    def __init__(self) -> None:
        self.did: list[str] = []
        self._bus = InMemorySubscriptionBus()
        self._session: Any = None

    def server(self) -> Server[Any]:
        async def subscribed(context: Any, params: Any) -> types.EmptyResult:
            self._session = context.session
            self.did.append(f"subscribe {params.uri}")
            return types.EmptyResult()

        async def unsubscribed(_: Any, params: Any) -> types.EmptyResult:
            self.did.append(f"unsubscribe {params.uri}")
            return types.EmptyResult()

        async def level(context: Any, params: Any) -> types.EmptyResult:
            self._session = context.session
            self.did.append(f"level {params.level}")
            return types.EmptyResult()

        async def nothing(*_: Any) -> types.ListResourcesResult:
            return types.ListResourcesResult(resources=[])

        server: Server[Any] = Server(
            "notes",
            on_list_resources=nothing,
            on_subscribe_resource=subscribed,
            on_unsubscribe_resource=unsubscribed,
            on_subscriptions_listen=ListenHandler(self._bus),
        )
        server.add_request_handler("logging/setLevel", types.SetLevelRequestParams, level)
        return server

    async def change(self, uri: str) -> None:
        await self._bus.publish(ResourceUpdated(uri))
        if self._session is not None:
            await self._session._connection.send_resource_updated(uri)

    async def write(self, level: str, text: str) -> None:
        await self._session._connection.notify("notifications/message", {"level": level, "data": text})


class Heard:
    """What a client was told."""

    def __init__(self) -> None:
        self.updated: list[str] = []
        self.logged: list[Any] = []

    async def __call__(self, message: Any) -> None:
        match message:
            case types.ResourceUpdatedNotification():
                self.updated.append(str(message.params.uri))
            case types.LoggingMessageNotification():
                self.logged.append((message.params.level, message.params.data))


def asked(steps: Any, behind: str, shared: bool = False) -> Any:
    """What comes of a gateway with two clients, in front of a server of this revision."""
    engine, notes, changes = Engine.from_text(POLICIES), Notes(), Changes()
    sessions = ClientSessions(engine, Who(ANN, None))

    async def asking() -> Any:
        with anyio.fail_after(30):
            async with (
                anyio.create_task_group() as tasks,
                Client(notes.server(), mode=behind, message_handler=changes.heard) as upstream,  # type: ignore[arg-type]
            ):
                changes.tasks = tasks
                gateway = Gateway(sessions.of, [Upstream("", upstream)], changes=changes, shared=shared)
                mine, theirs = Heard(), Heard()
                async with (
                    Client(gateway.server(), mode="legacy", message_handler=mine) as client,
                    Client(gateway.server(), mode="legacy", message_handler=theirs) as other,
                ):
                    found = await steps(notes, client, other, gateway)
                    tasks.cancel_scope.cancel()
        return found, mine, theirs

    return (*anyio.run(asking), notes)


async def _subscribe(client: Client, uri: str, ends: bool = False) -> int:
    """The code of the error, and 0 where there is none."""
    request: Any = types.SubscribeRequest(params=types.SubscribeRequestParams(uri=uri))
    if ends:
        request = types.UnsubscribeRequest(params=types.UnsubscribeRequestParams(uri=uri))
    try:
        await client.session.send_request(request, types.EmptyResult)
    except MCPError as error:
        return error.error.code
    return 0


@pytest.mark.parametrize("behind", ["legacy", "auto"])
def test_who_subscribed_hears_of_it(behind: str) -> None:
    async def steps(notes: Notes, client: Client, other: Client, _: Gateway) -> Any:
        denied = await _subscribe(client, "note://private/ann")
        allowed = [await _subscribe(client, PUBLIC), await _subscribe(other, OTHER), await _subscribe(other, PUBLIC)]
        for uri in (PUBLIC, OTHER, "note://private/ann"):
            await notes.change(uri)
        await anyio.wait_all_tasks_blocked()
        await _subscribe(other, PUBLIC, ends=True)
        await notes.change(PUBLIC)
        await anyio.wait_all_tasks_blocked()
        await _subscribe(client, PUBLIC, ends=True)
        await notes.change(PUBLIC)
        await anyio.wait_all_tasks_blocked()
        return denied, allowed

    (denied, allowed), mine, theirs, notes = asked(steps, behind)
    assert (denied, allowed) == (-32001, [0, 0, 0])
    assert mine.updated == [PUBLIC, PUBLIC]
    assert sorted(theirs.updated) == [PUBLIC, OTHER]
    once = [f"subscribe {PUBLIC}", f"subscribe {OTHER}", f"unsubscribe {PUBLIC}"]
    assert notes.did == (once if behind == "legacy" else [])


@pytest.mark.parametrize("behind", ["legacy", "auto"])
def test_who_listens_hears_of_it(behind: str) -> None:
    async def steps(notes: Notes, _: Client, __: Client, gateway: Gateway) -> Any:
        async with Client(gateway.server()) as client:
            with pytest.raises(MCPError) as refused:
                async with client.listen(resource_subscriptions=[PUBLIC, "note://private/ann"]):
                    raise AssertionError("nobody may listen to that")
            async with client.listen(resource_subscriptions=[PUBLIC]) as told:
                for uri in (OTHER, PUBLIC):
                    await notes.change(uri)
                async for event in told:
                    heard = event
                    break
            await anyio.wait_all_tasks_blocked()
        return refused.value.error.code, heard

    (refused, heard), mine, _, notes = asked(steps, behind)
    assert (refused, heard, mine.updated) == (-32001, ResourceUpdated(PUBLIC), [])
    assert notes.did == ([f"subscribe {PUBLIC}", f"unsubscribe {PUBLIC}"] if behind == "legacy" else [])


async def _level(client: Client, level: Any) -> int:
    try:
        request = types.SetLevelRequest(params=types.SetLevelRequestParams(level=level))
        await client.session.send_request(request, types.EmptyResult)
    except MCPError as error:
        return error.error.code
    return 0


@pytest.mark.parametrize("shared", [True, False])
def test_what_is_logged_is_told_to_who_asked(shared: bool) -> None:
    async def steps(notes: Notes, client: Client, _: Client, __: Gateway) -> Any:
        codes = [await _level(client, "debug"), await _level(client, "warning")]
        if not shared:
            await notes.write("info", "nothing")
            await notes.write("error", "eve@evil.org was here")
        await anyio.wait_all_tasks_blocked()
        return codes

    codes, mine, theirs, notes = asked(steps, "legacy", shared)
    assert theirs.logged == []
    if shared:
        # Nobody can tell whose calls an entry is about.
        assert (codes, mine.logged, notes.did) == ([-32602, -32602], [], [])
    else:
        assert codes == [-32001, 0]
        assert mine.logged == [("error", "[email] was here")]
        assert notes.did == ["level warning"]
