"""What every method of the gateway asks of the gate: whether it may run, and what of its answer may be had.

What is not a tool is decided like one, under the name of its method. What a decision point lets be seen of a list is
asked here as well."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError

from policyengine.gate.call import ToolCall
from policyengine.gate.run_call import ended_async
from policyengine.gate.session import Session
from policyengine.mcp.approving import Approving, InputWanted
from policyengine.mcp.authorizing import DENIED, UNAVAILABLE, Authorizing
from policyengine.mcp.results import answered, denied, seen
from policyengine.mcp.upstream import KnownTool

log = logging.getLogger(__name__)

LONGEST_ERROR = 500
READ, PROMPT = "resources/read", "prompts/get"
T = TypeVar("T")
Context = ServerRequestContext[Any, Any]
Sessions = Callable[[Context], Awaitable[Session]]
Run = Callable[[dict[str, Any]], Awaitable[types.CallToolResult]]


class Gating:
    """`sessions` has the session of a request."""

    def __init__(self, sessions: Sessions, approving: Approving | None, authorizing: Authorizing | None) -> None:
        self.sessions = sessions
        self.authorizing = authorizing
        self._approving = approving

    async def shown(
        self,
        context: Context,
        method: str,
        found: list[T],
        asked: Callable[[T], Mapping[str, Any]],
        known: Mapping[T, KnownTool] | None = None,
    ) -> list[T]:
        """What of a list a decision point lets be seen. A tool with a mapping of its own is decided with arguments."""
        if self.authorizing is None:
            return found
        plain = [one for one in found if known is None or known[one].mapping is None]
        told = await self.authorizing.listed(context, method, [asked(one) for one in plain])
        # By identity: what a server says that it has need not be hashable.
        hidden = {id(one) for one, shown in zip(plain, told, strict=True) if not shown}
        return [one for one in found if id(one) not in hidden]

    async def decided(
        self,
        session: Session,
        name: str,
        arguments: Mapping[str, Any],
        context: Context,
        responses: Mapping[str, Any] | None,
    ) -> ToolCall | types.CallToolResult:
        """A call that is allowed, or the answer to one that is not. Raises InputWanted where a person is to be asked
        first."""
        call = await session.call_async(name, arguments)
        why = call.reason
        if not call.allowed and self._approving is not None:
            call, why = await self._approving.approved(session, call, context, responses)
        return call if call.allowed else denied(why)

    async def ran(self, session: Session, call: ToolCall, run: Run) -> types.CallToolResult:
        """The result of a call that is allowed, observed."""
        try:
            result = await run(dict(call.arguments or {}))
        except BaseException:
            await ended_async(call)
            raise
        looked_at = seen(result)
        return answered(result, looked_at, await session.observe_async(call, looked_at))

    async def asked(
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
                result = await ask(arguments)
            except MCPError as error:
                return denied(f"{method} failed: {error.error.message[:LONGEST_ERROR]}")
            answer["structured"] = result.model_dump(mode="json", by_alias=True, exclude_none=True)
            return types.CallToolResult(content=[], structured_content=answer["structured"])

        try:
            session = await self.sessions(context)
            decided = await self.decided(session, method, given, context, responses)
            result = await self.ran(session, decided, run) if isinstance(decided, ToolCall) else decided
        except InputWanted:
            # Only what can be asked for again waits for a person.
            if method not in (READ, PROMPT):
                raise MCPError(DENIED, f"{method} has to be approved first") from None
            raise
        except Exception:
            log.exception("%s could not be decided or answered", method)
            raise MCPError(UNAVAILABLE, f"{method} could not be answered") from None
        if result.is_error:
            raise MCPError(DENIED if not answer else UNAVAILABLE, str(getattr(result.content[0], "text", "denied")))
        return result.structured_content or {}
