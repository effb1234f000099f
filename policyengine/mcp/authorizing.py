"""Decisions about messages, beside those of the gate: what COAZ asks of an AuthZEN decision point.

With a decision point every method is decided there, by its own mapping or the one that a tool declares. In process the
gate decides calls with their arguments; a declared mapping adds its decisions to that one. Each is about the principal
of the session, whatever subject a mapping states: who that is, a server does not say.

What cannot be mapped, is denied, or cannot be asked is an error of MCP, and the message goes no further.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mcp.server.context import CallNext, ServerRequestContext
from mcp.shared.exceptions import MCPError

from policyengine.authzen import read
from policyengine.authzen.errors import Malformed
from policyengine.engine import Engine
from policyengine.mcp.cel_expressions import MappingError
from policyengine.mcp.coaz import Built, Token, built
from policyengine.mcp.decision_point import DecisionPoint, NoDecision, PointAnswer
from policyengine.mcp.defaults import CALL, is_known, mapping_of, passes

log = logging.getLogger(__name__)

# As JSON-RPC and COAZ number them.
DENIED, UNMAPPED, UNAVAILABLE = -32001, -32602, -32603
Asked = tuple[Mapping[str, Any], Mapping[str, Any] | None]


@dataclass(frozen=True, slots=True)
class InProcess:
    """The policies of an engine. `asks` has the principal and the agent of a request."""

    engine: Engine
    asks: Callable[[Any], Asked]
    decides_methods = False

    async def decide(self, context: Any, request: Built) -> list[PointAnswer]:
        principal, agent = self.asks(context)
        snapshot = self.engine.snapshot
        ours = {name for name, root in snapshot.schema.context.items() if root.module == "ai"}
        shared = {name: value for name, value in request.body.items() if name != "evaluations"}
        answers = []
        for each in request.body["evaluations"] if request.many else [{}]:
            try:
                asked = read.evaluation({**shared, **each})
            except Malformed as wrong:
                raise MappingError(str(wrong)) from None
            said = {name: value for name, value in (asked["context"] or {}).items() if name not in ours}
            if agent is not None:
                said["agent"] = agent
            decision = self.engine.decide(
                principal=principal, action=asked["action"], resource=asked["resource"], context=said
            )
            answers.append(PointAnswer(decision.allowed, next(iter(decision.reasons), "")))
        return answers


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A decision point over HTTP."""

    point: DecisionPoint
    decides_methods = True

    async def decide(self, context: Any, request: Built) -> list[PointAnswer]:
        return await self.point.many(request.body) if request.many else [await self.point.one(request.body)]


class Authorizing:
    """`token` has the claims of a request. A strict one decides no method that the binding does not name, and takes no
    subject that the token does not say."""

    def __init__(self, decider: InProcess | Elsewhere, token: Callable[[Any], Token], *, strict: bool = False) -> None:
        self._decider = decider
        self._token = token
        self._strict = strict

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> Any:
        """A message, on its way to the gateway. A call of a tool is decided there, where it is known which one."""
        method = ctx.method
        if ctx.request_id is None or passes(method):
            return await call_next(ctx)
        if not is_known(method, self._strict):
            raise MCPError(DENIED, f"{method[:64]} is denied: it is not a method that is decided here")
        if self._decider.decides_methods and method != CALL:
            params = dict(ctx.params or {})
            await self._enforce(ctx, lambda token: mapping_of(method, params, token), params)
        return await call_next(ctx)

    async def call(self, context: Any, declared: Any) -> None:
        """A call of a tool, by the mapping that it declares; None for one that declares none. Raises MCPError."""
        params = dict(context.params or {})
        if declared is not None:
            await self._enforce(context, lambda _: declared, params)
        elif self._decider.decides_methods:
            await self._enforce(context, lambda token: mapping_of(CALL, params, token), params)

    async def listed(self, context: Any, method: str, asked: Sequence[Mapping[str, Any]]) -> list[bool]:
        """What of a list may be seen: that of which the method with these parameters is allowed. Raises MCPError."""
        if not asked or not self._decider.decides_methods:
            return [True] * len(asked)

        def each(token: Token) -> list[Built]:
            return [built(mapping_of(method, params, token), params, token) for params in asked]

        requests = self._made(context, each)
        shared = {name: requests[0].body[name] for name in ("subject", "context") if name in requests[0].body}
        entries = [{name: one.body[name] for name in ("action", "resource")} for one in requests]
        return [one.allowed for one in await self._said(context, Built({**shared, "evaluations": entries}, True))]

    async def _enforce(self, context: Any, mapping: Callable[[Token], Any], params: Mapping[str, Any]) -> None:
        request = self._made(context, lambda token: built(mapping(token), params, token))
        if request.overridden:
            log.warning("a mapping of a tool states a subject that no claim of the token says")
            if self._strict:
                raise MCPError(UNMAPPED, "COAZ mapping error: `subject.id` is not whom the token is for")
        denied = [one for one in await self._said(context, request) if not one.allowed]
        if denied:
            why = next((one.reason for one in denied if one.reason), "the policies do not allow it")
            raise MCPError(DENIED, f"{context.method} is denied: {why}")

    def _made(self, context: Any, make: Callable[[Token], Any]) -> Any:
        try:
            return make(self._token(context))
        except MappingError as error:
            raise MCPError(UNMAPPED, f"COAZ mapping error: {error}") from None

    async def _said(self, context: Any, request: Built) -> list[PointAnswer]:
        try:
            return await self._decider.decide(context, request)
        except MappingError as error:
            raise MCPError(UNMAPPED, f"COAZ mapping error: {error}") from None
        except NoDecision as error:
            log.error("the decision point could not be asked: %s", error)
            raise MCPError(UNAVAILABLE, "the decision point could not be asked") from None
        except Exception:
            log.exception("a message could not be decided")
            raise MCPError(UNAVAILABLE, "it could not be decided") from None
