"""How a denial tells the client to ask for an approval, and how an approval changes an evaluation.

A denial that lacks nothing but approvals gets `context.access_request`, with a token that only this service can have
made. Without a public https URL nothing is sent, because nobody could use it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from secrets import token_hex
from time import time
from typing import Any

from policyengine.authzen.endpoints import ACCESS_REQUESTS, JWKS
from policyengine.bundle import Snapshot
from policyengine.model.decision import Approval
from policyengine.server.access.binding_hash import Wire, binding_hash, relevant
from policyengine.server.access.signing import Signer
from policyengine.state.approving import Why
from policyengine.state.grant import Grant

# How long a denial can be submitted, in seconds.
LIFE = 600
DENIAL, STATE = "policyengine-denial+jwt", "policyengine-approval+jwt"
REQUIRED = "approval_required"
# What the requester should do next.
NEXT: Mapping[Why, str] = {
    "approval_expired": "request",
    "out_of_scope": "request",
    "approval_unverifiable": "none",
    "policy_denied": "none",
}


class AccessHints:
    """Signs denials and approvals. `signer` is set once the service has started, and only if `public_url` is https."""

    def __init__(self, public_url: str | None) -> None:
        self.public_url = public_url if public_url is not None and public_url.startswith("https://") else None
        self.signer: Signer | None = None

    @property
    def endpoint(self) -> str:
        return f"{self.public_url}{ACCESS_REQUESTS}"

    @property
    def jwks_uri(self) -> str:
        return f"{self.public_url}{JWKS}"

    def denial(self, wire: Wire, approvals: tuple[Approval, ...], snapshot: Snapshot, tenant: str) -> dict[str, Any]:
        """The part of a denial's context that says how to ask; empty if nobody can."""
        if self.signer is None:
            return {}
        members = relevant(snapshot.schema)
        bound = binding_hash(wire, members)
        if bound is None:
            return {}
        now = int(time())
        evaluation, expires_at = f"eval_{token_hex(16)}", stamp(now + LIFE)
        claims = {
            "aud": self.endpoint,
            "iat": now,
            "exp": now + LIFE,
            "jti": token_hex(16),
            "denial_expires_at": expires_at,
            "binding_context_members": members,
            "binding_hash": bound,
            "evaluation_id": evaluation,
            "rules": [each.rule for each in approvals],
            "revision": snapshot.revision,
            "tenant": tenant,
        }
        return {
            "evaluation_id": evaluation,
            "evaluated_at": stamp(now),
            "reason": REQUIRED,
            "access_request": {
                "endpoint": self.endpoint,
                "expires_at": expires_at,
                "binding_token": self.signer.sign(DENIAL, claims),
            },
        }

    def of_grant(self, grant: Grant, wire: Wire, snapshot: Snapshot, asks: bool = True) -> dict[str, Any]:
        """The part of a grant's context about the approval that was used, or that is missing. Without `asks` it does
        not say how to ask for one."""
        if grant.approval is not None:
            return {"approval": {"id": grant.approval.id, "approved_until": stamp(grant.approval.until)}}
        wanted, why = grant.access_request, grant.approval_denied
        if why is None:
            known = wanted if asks else None
        else:
            known = wanted if asks and NEXT[why] == "request" else None
        hints = {} if known is None else self.denial(wire, known.approvals, snapshot, known.tenant)
        if why is None:
            return hints
        return {**hints, "reason": why, "next_action": "request" if hints else "none"}

    # ---- the state of an approval ----

    def state(self, approval: str, task: str, approved_at: float, approved_until: float) -> str | None:
        """The part of an approval beside its id: proof that this service issued it."""
        if self.signer is None:
            return None
        claims = {"aud": self.public_url, "iat": int(approved_at), "exp": int(approved_until)}
        return self.signer.sign(STATE, {**claims, "approval_id": approval, "task": task})

    def presented(self, context: Mapping[str, Any]) -> Any:
        """The id of the approval that a context presents, if its proof is this service's own; otherwise an id that no
        approval has."""
        given = context.get("approval")
        if not isinstance(given, Mapping) or not isinstance(given.get("id"), str):
            return ""
        if "state" not in given:
            return given["id"]
        if self.signer is None or self.public_url is None:
            return ""
        claims = self.signer.verified(given["state"], STATE, self.public_url)
        return given["id"] if claims is not None and claims.get("approval_id") == given["id"] else ""


def stamp(seconds: float) -> str:
    """RFC 3339, in UTC; with milliseconds if they are not zero."""
    text = datetime.fromtimestamp(seconds, UTC)
    return text.isoformat(timespec="seconds" if text.microsecond == 0 else "milliseconds").replace("+00:00", "Z")
