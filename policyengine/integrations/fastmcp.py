"""FastMCP servers: a middleware that gates the tools, resources and prompts of your own server.

    server = FastMCP("shop", middleware=[PolicyMiddleware(session_of)])

`session_of` is a function from the context of the middleware to the session of the gate for the authenticated caller.
Put the middleware last, so that it is innermost.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

import mcp_types as types
from fastmcp.exceptions import PromptError, ResourceError, ToolError
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools.base import InputRequiredToolResult, Tool, ToolResult
from mcp.shared.exceptions import MCPError

from policyengine.engine import Engine
from policyengine.gate.call import ToolCall
from policyengine.gate.run_call import ToolFailed, ended_async, run_async
from policyengine.gate.session import Session
from policyengine.mcp.approving import Approving, InputWanted, Means
from policyengine.mcp.methods import CALL, DENIED, IN_A_TASK, LIST, METHODS, NOT_GATED, NOT_THERE, is_harmless
from policyengine.mcp.own_tasks import METHODS_OF_TASKS, OwnTasks, as_sent, goes_on, is_question
from policyengine.mcp.results import answered, denied, seen

_HOOKED = frozenset({CALL, LIST, "resources/read", "prompts/get"})
SessionOf = Callable[[MiddlewareContext[Any]], Awaitable[Session]]


class PolicyMiddleware(Middleware):
    """With `engine`, a call of a tool that needs an approval asks for one in the store, and people as `means` says."""

    def __init__(self, session_of: SessionOf, *, engine: Engine | None = None, means: Means | None = None) -> None:
        self._session_of = session_of
        self._approving = Approving(engine, means or Means()) if engine is not None else None
        self._tasks = OwnTasks()

    async def on_request(self, context: MiddlewareContext[Any], call_next: CallNext[Any, Any]) -> Any:
        """What has no hook of its own is decided, passed on, or not there."""
        method = str(context.method)
        if method in _HOOKED or is_harmless(method):
            return await call_next(context)
        params = as_sent(context.message)
        if method in METHODS_OF_TASKS:
            session = await self._session_of(context)
            return await self._tasks.asked(session, method, params, lambda: call_next(context))
        if method not in METHODS:
            raise MCPError(NOT_THERE, NOT_GATED)
        given = {name: params[name] for name in METHODS[method] if name in params}
        return await self._asked(context, call_next, method, given, partial(MCPError, DENIED))

    async def on_list_tools(
        self, context: MiddlewareContext[Any], call_next: CallNext[Any, Sequence[Tool]]
    ) -> Sequence[Tool]:
        session = await self._session_of(context)
        tools = await call_next(context)
        shown = set(await session.listed_async([tool.name for tool in tools]))
        return [tool for tool in tools if tool.name in shown]

    async def on_call_tool(
        self, context: MiddlewareContext[types.CallToolRequestParams], call_next: CallNext[Any, Any]
    ) -> Any:
        asked = context.message
        if getattr(asked, "task", None) is not None:
            given = denied(IN_A_TASK)
            return ToolResult(given.content, given.structured_content, is_error=True)

        async def perform(arguments: dict[str, Any]) -> Any:
            final = asked.model_copy(update={"arguments": arguments})
            answer = await call_next(context.copy(message=final))
            if goes_on(answer):
                return answer
            return types.CallToolResult(
                content=answer.content, structured_content=answer.structured_content, is_error=answer.is_error
            )

        session = await self._session_of(context)
        name, given_arguments = asked.name, asked.arguments or {}
        call = await session.call_async(name, given_arguments)
        if self._approving is not None and not call.allowed:
            try:
                call, why = await self._approving.approved(
                    session, call, context.fastmcp_context, asked.input_responses
                )
            except InputWanted as wanted:
                return InputRequiredToolResult(wanted.result)
            if not call.allowed:
                return ToolResult(denied(why).content, is_error=True)
        try:
            ran = await run_async(
                session, name, given_arguments, perform, looks=seen, back=answered, decided=call, goes_on=goes_on
            )
        except ToolFailed as error:
            raise ToolError(str(error)) from None
        if ran.call.allowed and ran.seen is None:
            if is_question(ran.value):
                await ended_async(ran.call)
                return ran.value
            return await self._begun(session, ran.call, ran.value)
        given = denied(ran.call.reason) if ran.seen is None else ran.value
        return ToolResult(given.content, given.structured_content, is_error=bool(given.is_error))

    async def _begun(self, session: Session, call: ToolCall, answer: Any) -> Any:
        """A task, in the form that the server gives it."""
        task = await self._tasks.begun(session, call, as_sent(answer))
        return task if isinstance(answer, Mapping) else type(answer).model_validate(task, by_name=False)

    async def on_read_resource(
        self, context: MiddlewareContext[types.ReadResourceRequestParams], call_next: CallNext[Any, Any]
    ) -> Any:
        uri = str(context.message.uri)
        return await self._asked(context, call_next, "resources/read", {"uri": uri}, ResourceError)

    async def on_get_prompt(
        self, context: MiddlewareContext[types.GetPromptRequestParams], call_next: CallNext[Any, Any]
    ) -> Any:
        given = {"name": context.message.name, "arguments": dict(context.message.arguments or {})}
        return await self._asked(context, call_next, "prompts/get", given, PromptError)

    async def _asked(
        self,
        context: MiddlewareContext[Any],
        call_next: CallNext[Any, Any],
        method: str,
        given: dict[str, Any],
        refusal: Callable[[str], Exception],
    ) -> Any:
        """What is not a tool, decided under the name of its method. What the policies would change of it is refused: it
        has no form that could be put together again."""

        async def perform(arguments: dict[str, Any]) -> Any:
            if arguments != given:
                raise refusal("the request would have to be changed")
            return await call_next(context)

        ran = await run_async(await self._session_of(context), method, given, perform)
        if not ran.allowed:
            raise refusal(str(ran.value))
        if isinstance(ran.value, dict):
            raise refusal("parts of the answer may not be read")
        return ran.value
