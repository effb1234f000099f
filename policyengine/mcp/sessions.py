"""The session of the gate for a client: one client on standard streams, or many over HTTP.

Over HTTP, a session belongs to a caller, whoever else knows its name: the session of the protocol or, if the protocol
has none, the session whose handle the gateway gave to the client. A client that does not send the handle back shares a
session with clients of the same name and caller; otherwise each of its requests would have seen nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from secrets import token_hex
from typing import Any

from cachetools import LRUCache, TTLCache
from mcp_types import CLIENT_INFO_META_KEY

from policyengine.callers.binding import bound_context
from policyengine.callers.caller import Caller
from policyengine.engine import Engine
from policyengine.gate.session import Session
from policyengine.mcp.callers import Arrival
from policyengine.mcp.coaz import Token
from policyengine.mcp.http_middleware import ARRIVAL, VISIT, Visit, new_handle
from policyengine.settings.gateway import GatewaySettings

# So many sessions of clients are remembered, each for so many seconds after its begin.
SESSIONS, LIFE = 10_000, 86_400.0


# What this server is called in claims that nobody wrote down.
HERE = "policyengine"


class Unnamed(Exception):
    """Nothing says who a request is from."""


@dataclass(frozen=True, slots=True)
class Who:
    """Who asks. `principal`, `agent` and the `claims` of a token are those of the host, where no token comes with a
    request; `settings` say what the tokens of requests mean."""

    principal: Mapping[str, Any] | None
    agent: Mapping[str, Any] | None
    claims: Mapping[str, Any] | None = None
    settings: GatewaySettings | None = None

    def of(self, caller: Caller | None) -> tuple[Mapping[str, Any], Mapping[str, Any] | None]:
        """The principal and the agent of a caller. Raises Unnamed."""
        principal = caller.principal if caller is not None and caller.principal is not None else self.principal
        if principal is None:
            raise Unnamed
        if caller is None or caller.agents is None:
            return principal, self.agent
        return principal, bound_context(caller, {}).get("agent", self.agent)

    def token(self, context: Any) -> Token:
        """The token of a request. Raises Unnamed."""
        caller = arrival_of(context).caller
        if caller is None or self.settings is None:
            return Token(self._claims())
        issuer = next(each for each in self.settings.issuers if each.issuer == caller.claims["iss"])
        return Token(caller.claims, issuer.claims.principal, self.settings.resource)

    def _claims(self) -> Mapping[str, Any]:
        if self.claims is not None:
            return self.claims
        if self.principal is None:
            raise Unnamed
        client = {"client_id": self.agent["id"]} if self.agent is not None else {}
        return {"sub": self.principal["id"], "aud": HERE, **client}


class ClientSessions:
    def __init__(self, engine: Engine, who: Who) -> None:
        self._engine = engine
        self._who = who
        self._known: TTLCache[str, Session] = TTLCache(SESSIONS, LIFE)
        self._process = token_hex(16)
        self._beginnings = _Beginnings()

    async def of(self, context: Any) -> Session:
        """The session of a request. Raises Unnamed and StoreError."""
        arrival = arrival_of(context)
        caller, name = arrival.caller, self._name(context, arrival)
        # Where a token says other things of its caller than before, the session goes on with them.
        said = [caller.principal, caller.agents] if caller is not None else []
        key = json.dumps([name, said], sort_keys=True, default=repr)
        session = self._known.get(key)
        if session is None:
            principal, agent = self._who.of(caller)
            # One that is forgotten here is the same one in the store: what it has seen, it has seen.
            stored = sha256(f"{self._process}:{name}".encode()).hexdigest()
            session = await self._engine.session_async(principal=principal, agent=agent, name=f"mcp:{stored}")
            session = self._known.setdefault(key, session)
        return session

    def _name(self, context: Any, arrival: Arrival) -> str:
        if context.request is None:
            return ""
        named = context.request.headers.get("mcp-session-id")
        if named is not None:
            return json.dumps([arrival.key, "protocol", named])
        client = json.dumps([arrival.key, (context.meta or {}).get(CLIENT_INFO_META_KEY)], sort_keys=True, default=repr)
        return json.dumps([arrival.key, "given", self._beginnings.handle(client, context.request.scope[VISIT])])


class _Beginnings:
    """The handles that were given to clients, until they are sent back."""

    def __init__(self) -> None:
        # By client: the handle, and how many requests have come without one since.
        self._given: LRUCache[str, tuple[str, int]] = LRUCache(SESSIONS)

    def handle(self, client: str, visit: Visit) -> str:
        given, count = self._given.get(client, ("", 0))
        if visit.handle is not None:
            # Where others of the name keep none, what they have seen is not forgotten.
            if visit.handle == given and count == 1:
                del self._given[client]
            return visit.handle
        self._given[client] = (given or new_handle(), count + 1)
        visit.gives = self._given[client][0]
        return visit.gives


def arrival_of(context: Any) -> Arrival:
    """Who a request is from; over standard streams there is only one."""
    scope = getattr(context.request, "scope", None)
    if scope is None:
        return Arrival("")
    arrival = scope.get(ARRIVAL)
    if not isinstance(arrival, Arrival):
        raise Unnamed
    return arrival
