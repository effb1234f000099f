"""Middleware for MCP servers: tools, resources and prompts of a server of your own go through the gate.

    server = MCPServer("shop", middleware=[PolicyServerMiddleware(session_of)])     # `mcp` 2.x

`session_of` is a function from the context of a request to the session of the gate, which is opened for whoever is
authenticated there. What is not a tool is decided under the name of its method, as the gateway does. What is denied is
a result with `isError` for a tool, and an error for anything else. A call of which the server makes a task (the
extension of the revision 2026-07-28) is observed when its result is asked for. A method that is not known here is not
there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import mcp_types as types
from mcp.server.context import CallNext, ServerRequestContext
from mcp.shared.exceptions import MCPError

from policyengine.engine import Engine
from policyengine.gate.run_call import ended_async, run_async
from policyengine.gate.session import Session
from policyengine.mcp.approving import Approving, InputWanted, Means
from policyengine.mcp.methods import CALL, DENIED, IN_A_TASK, LIST, METHODS, NOT_GATED, NOT_THERE, is_harmless
from policyengine.mcp.own_tasks import METHODS_OF_TASKS, OwnTasks, as_sent, goes_on, is_question
from policyengine.mcp.results import answered, denied, seen

SessionOf = Callable[[Any], Awaitable[Session]]


class PolicyServerMiddleware:
    """Put it last, so that it is innermost: what another one rewrites is then decided as it runs. With `engine`, a call
    of a tool that needs an approval asks for one in the store, and people as `means` says."""

    def __init__(self, session_of: SessionOf, *, engine: Engine | None = None, means: Means | None = None) -> None:
        self._session_of = session_of
        self._approving = Approving(engine, means or Means()) if engine is not None else None
        self._tasks = OwnTasks()

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> Any:
        params = dict(ctx.params or {})
        if ctx.method == LIST:
            return await self._listed(ctx, call_next)
        if ctx.method == CALL:
            return await self._called(ctx, call_next, params)
        if ctx.method in METHODS:
            return await self._asked(ctx, call_next, params)
        if ctx.method in METHODS_OF_TASKS:
            return await self._tasks.asked(await self._session_of(ctx), ctx.method, params, lambda: call_next(ctx))
        if is_harmless(ctx.method):
            return await call_next(ctx)
        raise MCPError(NOT_THERE, NOT_GATED)

    async def _listed(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> Any:
        session = await self._session_of(ctx)
        listed = types.ListToolsResult.model_validate(as_sent(await call_next(ctx)))
        shown = set(await session.listed_async([tool.name for tool in listed.tools]))
        kept = [tool for tool in listed.tools if tool.name in shown]
        return listed.model_copy(update={"tools": kept, "cache_scope": "private"})

    async def _called(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext, params: dict[str, Any]) -> Any:
        async def perform(arguments: dict[str, Any]) -> Any:
            answer = as_sent(await call_next(replace(ctx, params={**params, "arguments": arguments})))
            return answer if goes_on(answer) else types.CallToolResult.model_validate(answer)

        if params.get("task") is not None:
            return denied(IN_A_TASK)
        name, given, session = str(params.get("name")), params.get("arguments") or {}, await self._session_of(ctx)
        call = await session.call_async(name, given)
        if self._approving is not None and not call.allowed:
            try:
                call, why = await self._approving.approved(session, call, ctx, _responses(params))
            except InputWanted as wanted:
                return wanted.result
            if not call.allowed:
                return denied(why)
        ran = await run_async(session, name, given, perform, looks=seen, back=answered, decided=call, goes_on=goes_on)
        if ran.seen is not None:
            return ran.value
        if not ran.call.allowed:
            return denied(ran.call.reason)
        if is_question(ran.value):
            await ended_async(ran.call)
            return ran.value
        return await self._tasks.begun(session, ran.call, ran.value)

    async def _asked(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext, params: dict[str, Any]) -> Any:
        async def perform(arguments: dict[str, Any]) -> Any:
            return as_sent(await call_next(replace(ctx, params={**params, **arguments})))

        given = {name: params[name] for name in METHODS[ctx.method] if name in params}
        ran = await run_async(await self._session_of(ctx), ctx.method, given, perform)
        if not ran.allowed:
            raise MCPError(DENIED, str(ran.value))
        return ran.value


def _responses(params: dict[str, Any]) -> Any:
    """What the client says that a person answered."""
    return types.CallToolRequestParams.model_validate(params).input_responses
