"""A grant on the wire: what it adds to its decision, and the headers that say how much is left."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import ceil
from time import time
from typing import Any

from policyengine.callers.caller import Caller
from policyengine.model.decision import Decision
from policyengine.server.obligations import negotiate
from policyengine.state.grant import Grant, SettleError

Headers = tuple[tuple[bytes, bytes], ...]


def owner(caller: Caller) -> str:
    """Who may settle: the caller, in its tenant."""
    return json.dumps([caller.kind, caller.id, caller.tenant])


def honoured(grant: Grant, context: Mapping[str, Any]) -> Decision:
    """The decision for a caller with this request context. If the caller cannot fulfil what it would owe, nothing is
    done and nothing is charged. Raises RequestError."""
    decision = negotiate(grant.decision, context) if grant.decision.obligations else grant.decision
    if decision.decision != grant.decision.decision:
        undone(grant)
    return decision


def headers(grant: Grant) -> Headers:
    """RateLimit, as in draft-ietf-httpapi-ratelimit-headers, and Retry-After if waiting helps."""
    now = time()
    limits = [
        f'"{limit.rule}";r={int(limit.remaining)};t={max(0, ceil(limit.resets_at - now))}' for limit in grant.limits
    ]
    headers: Headers = ((b"ratelimit", ", ".join(limits).encode()),) if limits else ()
    if grant.retry_after is not None:
        headers += ((b"retry-after", str(grant.retry_after).encode()),)
    return headers


def status(grant: Grant) -> int:
    return 429 if grant.denied_by else 200


def undone(grant: Grant) -> None:
    if grant.id:
        try:
            grant.cancel()
        except SettleError:
            # It was granted before, and has been settled since.
            return
