"""Resources, prompts, completions, and subscriptions: each decided under the name of its method."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import mcp_types as types
from mcp.shared.exceptions import MCPError
from msgspec.structs import replace

from policyengine.gate.run_call import ended_async
from policyengine.mcp.approving import InputWanted
from policyengine.mcp.authorizing import DENIED, UNMAPPED
from policyengine.mcp.changes import Changes
from policyengine.mcp.gating import PROMPT, READ, Context, Gating
from policyengine.mcp.subscribing import Subscribing
from policyengine.mcp.task_extension import require_tasks
from policyengine.mcp.upstream import Upstream, behind_prompt, listed

log = logging.getLogger(__name__)

COMPLETE, SUBSCRIBE, SET_LEVEL = "completion/complete", "resources/subscribe", "logging/setLevel"


class ResourcesAndPrompts:
    """Everything that is not a tool. With `shared` several clients may ask the servers behind."""

    def __init__(self, gating: Gating, upstreams: Sequence[Upstream], changes: Changes, shared: bool) -> None:
        self._gating = gating
        self._upstreams = tuple(upstreams)
        self._changes = changes
        self._subscribing = Subscribing(changes)
        self._shared = shared

    async def _shown(self, context: Context, method: str, kind: str) -> list[tuple[Upstream, Any]]:
        """What there is of a kind, if anything of it could be asked for; nothing where that cannot be found out."""
        self._changes.heard_by(context.session)
        try:
            session = await self._gating.sessions(context)
            if not session.listed([method]):
                return []
            listed_here = await listed(self._upstreams, kind)
            if kind == "templates":
                return listed_here
            return await self._gating.shown(context, method, listed_here, lambda one: _named(one[1]))
        except MCPError:
            raise
        except Exception:
            log.exception("%s could not be listed", kind)
            return []

    async def resources(self, context: Context, _: types.PaginatedRequestParams | None) -> types.ListResourcesResult:
        listed_resources = [one for _, one in await self._shown(context, READ, "resources")]
        return types.ListResourcesResult(resources=listed_resources, cache_scope="private")

    async def templates(
        self, context: Context, _: types.PaginatedRequestParams | None
    ) -> types.ListResourceTemplatesResult:
        listed_templates = [one for _, one in await self._shown(context, READ, "templates")]
        return types.ListResourceTemplatesResult(resource_templates=listed_templates, cache_scope="private")

    async def prompts(self, context: Context, _: types.PaginatedRequestParams | None) -> types.ListPromptsResult:
        listed_prompts = [one for _, one in await self._shown(context, PROMPT, "prompts")]
        return types.ListPromptsResult(prompts=listed_prompts, cache_scope="private")

    async def read(
        self, context: Context, params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult | types.InputRequiredResult:
        async def read(arguments: dict[str, Any]) -> types.ReadResourceResult:
            uri = str(arguments["uri"])
            return await (await self._owner(uri)).client.read_resource(uri, cache_mode="bypass")

        given = {"uri": str(params.uri)}
        try:
            answer = await self._gating.asked(context, READ, given, read, params.input_responses)
        except InputWanted as wanted:
            return wanted.result
        return types.ReadResourceResult.model_validate(answer)

    async def prompt(
        self, context: Context, params: types.GetPromptRequestParams
    ) -> types.GetPromptResult | types.InputRequiredResult:
        async def get(arguments: dict[str, Any]) -> types.GetPromptResult:
            upstream, name = behind_prompt(self._upstreams, str(arguments["name"]))
            return await upstream.client.get_prompt(name, arguments["arguments"])

        given = {"name": params.name, "arguments": dict(params.arguments or {})}
        try:
            answer = await self._gating.asked(context, PROMPT, given, get, params.input_responses)
        except InputWanted as wanted:
            return wanted.result
        return types.GetPromptResult.model_validate(answer)

    async def complete(self, context: Context, params: types.CompleteRequestParams) -> types.CompleteResult:
        async def complete(arguments: dict[str, Any]) -> types.CompleteResult:
            if isinstance(params.ref, types.PromptReference):
                upstream, name = behind_prompt(self._upstreams, params.ref.name)
                ref: Any = params.ref.model_copy(update={"name": name})
            else:
                upstream, ref = await self._owner(params.ref.uri), params.ref
            known = arguments.get("context") or {}
            return await upstream.client.complete(ref, arguments["argument"], known.get("arguments"))

        given = params.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"meta"})
        return types.CompleteResult.model_validate(await self._gating.asked(context, COMPLETE, given, complete))

    async def subscribe(self, context: Context, params: types.SubscribeRequestParams) -> types.EmptyResult:
        async def subscribe(arguments: dict[str, Any]) -> types.EmptyResult:
            uri = str(arguments["uri"])
            await self._subscribing.subscribe(context.session._connection, await self._owner(uri), uri)
            return types.EmptyResult()

        await self._gating.asked(context, SUBSCRIBE, {"uri": str(params.uri)}, subscribe)
        return types.EmptyResult()

    async def unsubscribe(self, context: Context, params: types.UnsubscribeRequestParams) -> types.EmptyResult:
        await self._subscribing.unsubscribe(context.session._connection, str(params.uri))
        return types.EmptyResult()

    async def listen(
        self, context: Context, params: types.SubscriptionsListenRequestParams
    ) -> types.SubscriptionsListenResult:
        if (params.notifications.model_extra or {}).get("taskIds"):
            # It is told of none: it asks after them.
            require_tasks(context)
        subscriptions: list[tuple[Upstream, str]] = []
        for uri in params.notifications.resource_subscriptions or ():

            async def owned(arguments: dict[str, Any]) -> types.EmptyResult:
                subscriptions.append((await self._owner(str(arguments["uri"])), str(arguments["uri"])))
                return types.EmptyResult()

            await self._gating.asked(context, SUBSCRIBE, {"uri": str(uri)}, owned)
        async with self._subscribing.listening(subscriptions):
            return await self._changes.listen(context, params)

    async def set_level(self, context: Context, params: types.SetLevelRequestParams) -> types.EmptyResult:
        if self._shared:
            raise MCPError(UNMAPPED, "a log message for several clients is sent to none of them")
        session = await self._gating.sessions(context)
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

    async def _owner(self, uri: str) -> Upstream:
        """The server that has a resource. Raises MCPError where none, or more than one, says that it has."""
        if len(self._upstreams) == 1:
            return self._upstreams[0]
        owners = {up.name: up for up, one in await listed(self._upstreams, "resources") if str(one.uri) == uri}
        if len(owners) != 1:
            raise MCPError(UNMAPPED, "there is no such resource here")
        return next(iter(owners.values()))


def _named(one: Any) -> dict[str, Any]:
    """A resource or a prompt, as a request names it."""
    return {"uri": str(one.uri)} if isinstance(one, types.Resource) else {"name": one.name}
