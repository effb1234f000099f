"""The caller of a request: who sent it, which endpoints are open to it, and which tenant it is bound to.

A value without behaviour. Only authentication makes it, and everything after that trusts it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, get_args

Scope = Literal["decide", "explain", "filter", "search", "authorize", "release", "approve", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

Kind = Literal["anonymous", "key", "token", "certificate"]
KINDS: tuple[Kind, ...] = get_args(Kind)


def _no_claims() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request.

    `id` is public: the id of a key, issuer and subject of a token, the identity in a certificate. `tenant` is the only
    tenant that it may ask or learn about; None binds it to none. `claims` are those of a verified token, else empty.

    `principal` is the entity that its requests are about, and `agents` who acts for it, nearest first, where a token
    says so; where they are None, a request names whom it likes. `told` are the attributes of the principal of which the
    token has the last word, those that it does not have included.
    """

    id: str
    kind: Kind
    scopes: frozenset[Scope]
    tenant: str | None = None
    claims: Mapping[str, Any] = field(default_factory=_no_claims, hash=False)
    principal: Mapping[str, Any] | None = field(default=None, hash=False)
    told: frozenset[str] = frozenset()
    agents: tuple[tuple[str, str], ...] | None = None

    @property
    def label(self) -> str:
        """What stands for it in the record of what was done."""
        return f"{self.kind}:{self.id}"

    @property
    def is_bound(self) -> bool:
        """Whether a request of it has to be compared with what is known of it."""
        return self.tenant is not None or self.principal is not None or self.agents is not None


# Whoever reaches a service that was started without authentication, on this machine.
ANONYMOUS = Caller("anonymous", "anonymous", frozenset(SCOPES))
