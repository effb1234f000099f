"""The step `limit`: whether this caller may ask this, here and now.

A caller without the scope of an endpoint is refused with 403. A caller that asks too often is refused with 429 and the
time to wait: by the counts of this process, and by the `limit` rules of administration, which all processes count
together.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from policyengine.callers.caller import Caller, Scope
from policyengine.callers.refusal import Refusal
from policyengine.callers.throttle import Meter, retry_after
from policyengine.server.administration import Administration, principal_of
from policyengine.server.authentication import HEALTH, SIGN_IN
from policyengine.server.pipeline import ACCESS_TASK, OTHER, Incoming
from policyengine.server.rate_limits import RateLimits
from policyengine.settings.model import Limits

# The scope of each endpoint, by its name. An unlisted endpoint is for administrators, so that none is open by mistake.
SCOPE_OF: Mapping[str, Scope] = {
    "evaluation": "decide",
    "evaluations": "decide",
    **dict.fromkeys(("access_request", "access_status", "access_cancel", ACCESS_TASK), "decide"),
    "filter": "filter",
    "explain": "explain",
    "search_subject": "search",
    "search_resource": "search",
    "search_action": "search",
    **dict.fromkeys(("release", "admit", "detokenize"), "release"),
    **dict.fromkeys(("authorize", "authorizations", "settle", "renew", "cancel", "sessions", "results"), "authorize"),
    "guardrail": "authorize",
}
# The endpoints that administer the service, and the action that its policies decide about.
ADMIN_OF: Mapping[str, str] = {
    "prometheus": "admin_metrics",
    "reload": "admin_reload",
    **dict.fromkeys(("keys", "keys_create", "keys_rotate", "keys_revoke", "keys_check"), "admin_keys"),
    **dict.fromkeys(("approvals", "approvals_task"), "approve"),
    **dict.fromkeys(("block", "unblock", "blocks", "void"), "admin_other"),
    # A caller that is bound to a tenant administers only that tenant.
    **dict.fromkeys(("usage", "usage_changes", "usage_reset", "usage_credit", "usage_raise"), "admin_usage"),
}
OTHER_ADMIN = "admin_other"
# What the service says of itself, and not of a request or a tenant, to every caller.
FOR_ALL = frozenset(
    {HEALTH, SIGN_IN, "jwks", "readyz", "metadata", "openapi", "custom_swagger_ui_html", "swagger_ui_redirect", OTHER}
)


class LimitStep:
    """The step of one process. `meter` counts in this process, `rates` counts across processes; None if callers may ask
    as often as they like."""

    def __init__(self, limits: Limits, administration: Administration, rates: RateLimits | None = None) -> None:
        self.administration = administration
        self.rates = rates
        self.meter = Meter(limits.requests, limits.per) if limits.requests is not None else None

    async def __call__(self, caller: Caller, incoming: Incoming) -> Refusal | None:
        name = incoming.endpoint
        refused = self.refuses(caller, name)
        if refused is not None or self.rates is None or name in (HEALTH, SIGN_IN):
            return refused
        return await self.rates.refusal(caller, principal_of(caller), name)

    def refuses(self, caller: Caller, name: str) -> Refusal | None:
        """Refuses by the counts of this process alone."""
        if name == HEALTH:
            return None
        if name in SCOPE_OF:
            if SCOPE_OF[name] not in caller.scopes:
                return _without(SCOPE_OF[name])
        elif name not in FOR_ALL:
            decision = self.administration.decide(caller, ADMIN_OF.get(name, OTHER_ADMIN))
            if not decision.allowed:
                scope: Scope = "approve" if ADMIN_OF.get(name) == "approve" else "admin"
                return Refusal(403, "; ".join(decision.reasons)) if decision.reasons else _without(scope)
        if name == SIGN_IN:
            # It has no caller yet, and nobody must be able to use up the attempts of others to sign in.
            return None
        if self.meter is not None:
            wait = self.meter.take(caller.label, time.monotonic())
            if wait:
                return Refusal(429, "too many requests", ((b"retry-after", retry_after(wait)),))
        return None


def _without(scope: Scope) -> Refusal:
    challenge = b'Bearer realm="policyengine", error="insufficient_scope", scope="%b"' % scope.encode()
    return Refusal(403, f"the scope `{scope}` is required", ((b"www-authenticate", challenge),))
