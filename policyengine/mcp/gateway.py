"""An MCP server that asks the gate, with other servers behind it.

Tools, resources, prompts and completions are answered, each call decided on its final arguments, whatever was listed
before; a list depends on the policies and on who asks, and on nothing else that this session did. Who subscribes to a
resource, or sets the level of a log, hears of it. Every other method is not there. Where the policies or a server
behind cannot be asked, nothing is listed and nothing runs.

What is no tool is decided like one, under the name of its method, which no tool can have:
`call on Tool::"resources/read"` and `Tool::"resources/subscribe"` with `uri` (so is each resource that is listened to),
`Tool::"prompts/get"` with `name` and `arguments`, `Tool::"completion/complete"` with `ref`, `argument` and `context`,
`Tool::"logging/setLevel"` with `level`.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import anyio
import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.shared.exceptions import MCPError

from policyengine.gate.running import ended_async
from policyengine.gate.session import Session
from policyengine.mcp.approving import Approving, InputWanted
from policyengine.mcp.authorizing import Authorizing
from policyengine.mcp.changes import Changes
from policyengine.mcp.pins import differences
from policyengine.mcp.results import answered, denied, seen
from policyengine.mcp.subscribing import Subscribing
from policyengine.mcp.upstream import KnownTool, Upstream, behind_prompt, definitions, listed, tools
from policyengine.version import VERSION

log = logging.getLogger(__name__)

LONGEST_ERROR = 500
CALL, READ, PROMPT, COMPLETE = "tools/call", "resources/read", "prompts/get", "completion/complete"
SUBSCRIBE, SET_LEVEL = "resources/subscribe", "logging/setLevel"
# What COAZ says of a denial, and of a decision that could not be had.
DENIED, FAILED, NOT_FOUND = -32001, -32603, -32602

T = TypeVar("T")
Context = ServerRequestContext[Any, Any]
Sessions = Callable[[Context], Awaitable[Session]]


class _Announcing(Server[Any]):
    """A server that says to clients of every revision that it tells them of lists that change."""

    def create_initialization_options(self, notification_options: Any = None, *given: Any, **named: Any) -> Any:
        changes = notification_options or NotificationOptions(True, True, True)
        return super().create_initialization_options(changes, *given, **named)


class Gateway:
    """Clients' view of the servers behind. `sessions` has the session of a request, `pins` are the digests of tools as
    they were approved; None where nobody pins them. With `shared` several clients may ask the servers behind."""

    def __init__(
        self,
        sessions: Sessions,
        upstreams: Sequence[Upstream],
        pins: Mapping[str, str] | None = None,
        approving: Approving | None = None,
        changes: Changes | None = None,
        authorizing: Authorizing | None = None,
        shared: bool = False,
    ) -> None:
        self._sessions = sessions
        self._shared = shared
        self._authorizing = authorizing
        self._upstreams = tuple(upstreams)
        self._pins = pins
        self._approving = approving
        self._changes = changes if changes is not None else Changes()
        self._subscribing = Subscribing(self._changes)
        self._known: dict[str, KnownTool] = {}
        # How often the servers behind have been asked for their tools, one time after the other.
        self._fetches, self._fetching = 0, anyio.Lock()
        self._changes.forget = self._known.clear

    def server(self) -> Server[Any]:
        server = _Announcing(
            "policyengine",
            version=VERSION,
            on_list_tools=self._list,
            on_call_tool=self._call,
            on_list_resources=self._resources,
            on_list_resource_templates=self._templates,
            on_read_resource=self._read,
            on_list_prompts=self._prompts,
            on_get_prompt=self._prompt,
            on_completion=self._complete,
            on_subscribe_resource=self._subscribe,
            on_unsubscribe_resource=self._unsubscribe,
            on_subscriptions_listen=self._listen,
        )
        server.add_request_handler(SET_LEVEL, types.SetLevelRequestParams, self._set_level)
        if self._authorizing is not None:
            server.middleware.append(self._authorizing)
        return server

    # ---- tools ----

    async def _list(self, context: Context, _: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        self._changes.heard_by(context.session)
        try:
            session = await self._sessions(context)
            known = await self._refreshed()
            shown = await self._seen(context, CALL, session.listed(known), _called, known)
        except MCPError:
            raise
        except Exception:
            # Could not ask is not "no restrictions".
            log.exception("tools could not be listed")
            return types.ListToolsResult(tools=[])
        found = [known[name].tool.model_copy(update={"name": name}) for name in shown]
        return types.ListToolsResult(tools=found, cache_scope="private")

    async def _call(
        self, context: Context, params: types.CallToolRequestParams
    ) -> types.CallToolResult | types.InputRequiredResult:
        name = params.name
        try:
            session = await self._sessions(context)
            known = self._known.get(name) or (await self._refreshed()).get(name)
            if known is None:
                return denied(f"there is no tool `{name[:64]}` here")
            if self._authorizing is not None:
                await self._authorizing.call(context, known.mapping)

            async def run(arguments: dict[str, Any]) -> types.CallToolResult:
                return await self._result(known, arguments, context)

            return await self._gated(session, name, params.arguments or {}, run, context, params.input_responses)
        except InputWanted as wanted:
            return wanted.result
        except MCPError as error:
            if error.error.code != DENIED:
                raise
            return denied(error.error.message)
        except Exception:
            log.exception("a call could not be decided or made")
            return denied(f"`{name[:64]}` could not be run")

    async def _seen(
        self,
        context: Context,
        method: str,
        found: list[T],
        asked: Callable[[T], Mapping[str, Any]],
        known: Mapping[T, KnownTool] | None = None,
    ) -> list[T]:
        """What of a list a decision point lets be seen. A tool with a mapping of its own is decided with arguments."""
        if self._authorizing is None:
            return found
        plain = [one for one in found if known is None or known[one].mapping is None]
        told = await self._authorizing.listed(context, method, [asked(one) for one in plain])
        # By identity: what a server says that it has need not be hashable.
        hidden = {id(one) for one, shown in zip(plain, told, strict=True) if not shown}
        return [one for one in found if id(one) not in hidden]

    async def _gated(
        self,
        session: Session,
        name: str,
        arguments: Mapping[str, Any],
        run: Callable[[dict[str, Any]], Awaitable[types.CallToolResult]],
        context: Context,
        responses: Mapping[str, Any] | None,
    ) -> types.CallToolResult:
        """A call, decided; its result, observed. Raises InputWanted where a person is to be asked first."""
        call = await session.call_async(name, arguments)
        why = call.reason
        if not call.allowed and self._approving is not None:
            call, why = await self._approving.approved(session, call, context, responses)
        if not call.allowed:
            return denied(why)
        try:
            result = await run(dict(call.arguments or {}))
        except BaseException:
            await ended_async(call)
            raise
        looked_at = seen(result)
        return answered(result, looked_at, await session.observe_async(call, looked_at))

    @staticmethod
    async def _result(known: KnownTool, arguments: dict[str, Any], context: Context) -> types.CallToolResult:
        """What the server behind answers. What an error says is read like any result: it is as much a stranger's."""
        try:
            return await known.upstream.client.call_tool(
                known.tool.name, arguments, progress_callback=context.session.report_progress
            )
        except MCPError as error:
            return denied(f"`{known.name}` failed: {error.error.message[:LONGEST_ERROR]}")

    async def _refreshed(self) -> dict[str, KnownTool]:
        """The tools that there are now, as they were approved. Where they cannot be had, none is known. Those who ask
        while a server is asked wait, and are told together: what the servers have at a moment after they asked."""
        asked = self._fetches
        async with self._fetching:
            if self._fetches > asked:
                return dict(self._known)
            self._fetches += 1
            try:
                found = await tools(self._upstreams)
                if self._pins is not None:
                    changed = {one.tool for one in differences(self._pins, definitions(found))}
                    found = {name: known for name, known in found.items() if name not in changed}
            except BaseException as error:
                self._known.clear()
                # Who goes away while a server is asked has asked for nobody else.
                self._fetches -= not isinstance(error, Exception)
                raise
            # Until here calls are made of the tools as they were: a long list holds up none.
            self._known.clear()
            self._known.update(found)
            return found

    # ---- resources, prompts, completions ----

    async def _shown(self, context: Context, method: str, kind: str) -> list[tuple[Upstream, Any]]:
        """What there is of a kind, if anything of it could be asked for; nothing where that cannot be found out."""
        self._changes.heard_by(context.session)
        try:
            session = await self._sessions(context)
            if not session.listed([method]):
                return []
            found = await listed(self._upstreams, kind)
            if kind == "templates":
                return found
            return await self._seen(context, method, found, lambda one: _named(one[1]))
        except MCPError:
            raise
        except Exception:
            log.exception("%s could not be listed", kind)
            return []

    async def _resources(self, context: Context, _: types.PaginatedRequestParams | None) -> types.ListResourcesResult:
        found = [one for _, one in await self._shown(context, READ, "resources")]
        return types.ListResourcesResult(resources=found, cache_scope="private")

    async def _templates(
        self, context: Context, _: types.PaginatedRequestParams | None
    ) -> types.ListResourceTemplatesResult:
        found = [one for _, one in await self._shown(context, READ, "templates")]
        return types.ListResourceTemplatesResult(resource_templates=found, cache_scope="private")

    async def _prompts(self, context: Context, _: types.PaginatedRequestParams | None) -> types.ListPromptsResult:
        found = [one for _, one in await self._shown(context, PROMPT, "prompts")]
        return types.ListPromptsResult(prompts=found, cache_scope="private")

    async def _read(
        self, context: Context, params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult | types.InputRequiredResult:
        async def read(arguments: dict[str, Any]) -> types.ReadResourceResult:
            uri = str(arguments["uri"])
            return await (await self._owner(uri)).client.read_resource(uri, cache_mode="bypass")

        given = {"uri": str(params.uri)}
        try:
            answer = await self._asked(context, READ, given, read, params.input_responses)
        except InputWanted as wanted:
            return wanted.result
        return types.ReadResourceResult.model_validate(answer)

    async def _prompt(
        self, context: Context, params: types.GetPromptRequestParams
    ) -> types.GetPromptResult | types.InputRequiredResult:
        async def get(arguments: dict[str, Any]) -> types.GetPromptResult:
            upstream, name = behind_prompt(self._upstreams, str(arguments["name"]))
            return await upstream.client.get_prompt(name, arguments["arguments"])

        given = {"name": params.name, "arguments": dict(params.arguments or {})}
        try:
            answer = await self._asked(context, PROMPT, given, get, params.input_responses)
        except InputWanted as wanted:
            return wanted.result
        return types.GetPromptResult.model_validate(answer)

    async def _complete(self, context: Context, params: types.CompleteRequestParams) -> types.CompleteResult:
        async def complete(arguments: dict[str, Any]) -> types.CompleteResult:
            if isinstance(params.ref, types.PromptReference):
                upstream, name = behind_prompt(self._upstreams, params.ref.name)
                ref: Any = params.ref.model_copy(update={"name": name})
            else:
                upstream, ref = await self._owner(params.ref.uri), params.ref
            known = arguments.get("context") or {}
            return await upstream.client.complete(ref, arguments["argument"], known.get("arguments"))

        given = params.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"meta"})
        return types.CompleteResult.model_validate(await self._asked(context, COMPLETE, given, complete))

    async def _subscribe(self, context: Context, params: types.SubscribeRequestParams) -> types.EmptyResult:
        async def subscribe(arguments: dict[str, Any]) -> types.EmptyResult:
            uri = str(arguments["uri"])
            await self._subscribing.subscribe(context.session._connection, await self._owner(uri), uri)
            return types.EmptyResult()

        await self._asked(context, SUBSCRIBE, {"uri": str(params.uri)}, subscribe)
        return types.EmptyResult()

    async def _unsubscribe(self, context: Context, params: types.UnsubscribeRequestParams) -> types.EmptyResult:
        await self._subscribing.unsubscribe(context.session._connection, str(params.uri))
        return types.EmptyResult()

    async def _listen(
        self, context: Context, params: types.SubscriptionsListenRequestParams
    ) -> types.SubscriptionsListenResult:
        found: list[tuple[Upstream, str]] = []
        for uri in params.notifications.resource_subscriptions or ():

            async def owned(arguments: dict[str, Any]) -> types.EmptyResult:
                found.append((await self._owner(str(arguments["uri"])), str(arguments["uri"])))
                return types.EmptyResult()

            await self._asked(context, SUBSCRIBE, {"uri": str(uri)}, owned)
        async with self._subscribing.listening(found):
            return await self._changes.listen(context, params)

    async def _set_level(self, context: Context, params: types.SetLevelRequestParams) -> types.EmptyResult:
        if self._shared:
            raise MCPError(NOT_FOUND, "what servers log for several clients is told to none of them")
        session = await self._sessions(context)
        call = await session.call_async(SET_LEVEL, {"level": params.level})
        if not call.allowed:
            raise MCPError(DENIED, call.reason)

        await ended_async(call)
        # Each entry is looked at as a result of this call, which is settled once.
        asked = replace(call, grant=None)

        async def looks(data: Any) -> Any:
            observed = await session.observe_async(asked, data)
            return observed.value if observed.allowed else None

        await self._subscribing.set_level(context.session._connection, params.level, self._upstreams, looks)
        return types.EmptyResult()

    async def _asked(
        self,
        context: Context,
        method: str,
        given: Mapping[str, Any],
        ask: Callable[[dict[str, Any]], Awaitable[Any]],
        responses: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """The answer to a method, decided like a call of a tool. Raises MCPError where there is none, and InputWanted
        where a person is to be asked first."""
        answer: dict[str, Any] = {}

        async def run(arguments: dict[str, Any]) -> types.CallToolResult:
            try:
                found = await ask(arguments)
            except MCPError as error:
                return denied(f"{method} failed: {error.error.message[:LONGEST_ERROR]}")
            answer["structured"] = found.model_dump(mode="json", by_alias=True, exclude_none=True)
            return types.CallToolResult(content=[], structured_content=answer["structured"])

        try:
            result = await self._gated(await self._sessions(context), method, given, run, context, responses)
        except InputWanted:
            # Only what can be asked for again waits for a person.
            if method not in (READ, PROMPT):
                raise MCPError(DENIED, f"{method} has to be approved first") from None
            raise
        except Exception:
            log.exception("%s could not be decided or answered", method)
            raise MCPError(FAILED, f"{method} could not be answered") from None
        if result.is_error:
            raise MCPError(DENIED if not answer else FAILED, str(getattr(result.content[0], "text", "denied")))
        return result.structured_content or {}

    async def _owner(self, uri: str) -> Upstream:
        """The server that has a resource. Raises MCPError where none, or more than one, says that it has."""
        if len(self._upstreams) == 1:
            return self._upstreams[0]
        owners = {up.name: up for up, one in await listed(self._upstreams, "resources") if str(one.uri) == uri}
        if len(owners) != 1:
            raise MCPError(NOT_FOUND, "there is no such resource here")
        return next(iter(owners.values()))


def _named(one: Any) -> dict[str, Any]:
    """A resource or a prompt, as a request names it."""
    return {"uri": str(one.uri)} if isinstance(one, types.Resource) else {"name": one.name}


def _called(name: str) -> dict[str, Any]:
    return {"name": name}
