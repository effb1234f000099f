"""What the claims of a verified token say about its caller: scopes, tenant, principal, groups, and who acts for whom.

The meaning of claims is declared for each issuer. If a declared claim is not of its kind, there is no caller, because
nobody knows what it should have said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from policyengine.callers.caller import SCOPES, Caller, Scope

MAX_CHAIN = 16
_RESERVED = frozenset({"type", "id", "parents"})


@dataclass(frozen=True, slots=True)
class ClaimsMapping:
    """The claims of one issuer that say something of a caller. Raises ValueError for one that cannot be meant.

    scopes: the claim with the scopes, a text with spaces or a list. `prefix` is before those that are meant for this
        service; all others in it are somebody else's.
    tenant: the claim with the tenant, which a token must then have.
    principal_type, principal: the entity that the token is for. Without a type, requests name the principal.
    groups, group_type: the claim with a list of groups that the principal is in.
    attributes: attributes of the principal, each with its claim.
    agent_type: the type of the agents in `act` (RFC 8693). Without it, requests name the agent.
    """

    scopes: str = "scope"
    prefix: str = ""
    tenant: str | None = None
    principal_type: str | None = None
    principal: str = "sub"
    groups: str | None = None
    group_type: str = "Group"
    attributes: Mapping[str, str] = field(default_factory=dict)
    agent_type: str | None = None

    def __post_init__(self) -> None:
        if self.principal_type is None and (self.groups is not None or self.attributes):
            raise ValueError("groups and attributes need the type of the principal")
        if self.attributes.keys() & _RESERVED:
            raise ValueError("`type`, `id` and `parents` are not attributes")


class Unusable(Exception):
    """The claims do not say what they should."""


def caller(claims: Mapping[str, Any], mapping: ClaimsMapping) -> Caller | None:
    """The caller of a verified token; None if its claims do not say what they should."""
    try:
        tenant = _text(claims.get(mapping.tenant)) if mapping.tenant is not None else None
        principal = _principal(claims, mapping)
        told = frozenset(mapping.attributes) | ({"parents"} if mapping.groups is not None else frozenset())
        agents = _agents(claims, mapping.agent_type) if mapping.agent_type is not None else None
        scopes = _scopes(claims.get(mapping.scopes, ""), mapping.prefix)
        id_ = f"{_text(claims.get('iss'))}#{_text(claims.get('sub'))}"
    except Unusable:
        return None
    return Caller(id_, "token", scopes, tenant, claims, principal, told, agents)


def _scopes(value: Any, prefix: str) -> frozenset[Scope]:
    named = value.split() if isinstance(value, str) else _texts(value)
    mine = {name.removeprefix(prefix) for name in named if name.startswith(prefix)}
    return frozenset(cast("set[Scope]", mine & set(SCOPES)))


def _principal(claims: Mapping[str, Any], mapping: ClaimsMapping) -> Mapping[str, Any] | None:
    if mapping.principal_type is None:
        return None
    principal: dict[str, Any] = {"type": mapping.principal_type, "id": _text(claims.get(mapping.principal))}
    principal |= {name: claims[claim] for name, claim in mapping.attributes.items() if claim in claims}
    if mapping.groups is not None and mapping.groups in claims:
        principal["parents"] = [{"type": mapping.group_type, "id": id_} for id_ in _texts(claims[mapping.groups])]
    return principal


def _agents(claims: Mapping[str, Any], type_: str) -> tuple[tuple[str, str], ...]:
    """The chain of actors: the outermost is the one that acts now (RFC 8693, section 4.1)."""
    actors: list[tuple[str, str]] = []
    at: Mapping[str, Any] = claims
    while "act" in at:
        at = at["act"]
        if not isinstance(at, dict) or len(actors) == MAX_CHAIN:
            raise Unusable
        actors.append((type_, _text(at.get("sub"))))
    return tuple(actors)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise Unusable
    return value


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list):
        raise Unusable
    return [_text(each) for each in value]
