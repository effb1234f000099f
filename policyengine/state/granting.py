"""The answer to a request, from the outcome of its commit; and denials for reasons other than the policies.

Pure.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from policyengine.bundle import Snapshot
from policyengine.diagnostics import codes
from policyengine.evaluate.combine import denied
from policyengine.model.decision import Decision, RuleError
from policyengine.state import operations
from policyengine.state.approving import Used
from policyengine.state.charges import Metered
from policyengine.state.grant import Grant, KnownTerms, refused, retry_after
from policyengine.state.operations import Done, Outcome, Refused, Rejected
from policyengine.state.store import Store
from policyengine.state.windows import SECOND


def granted(
    decision: Decision,
    metered: tuple[Metered, ...],
    outcome: Outcome,
    snapshot: Snapshot,
    store: Store,
    id_: str,
    owner: str,
    lease: int,
    approval: Any = None,
) -> Grant:
    """The answer to a request whose commit had this outcome."""
    match outcome:
        case Done(uses=uses, expires_at=end, replayed=earlier, until=until):
            terms = KnownTerms(store, owner, metered, lease) if metered else None
            used = Used(str(approval), until / SECOND) if until else None
            return Grant(
                decision, earlier or (id_ if metered else ""), None, uses, end / SECOND, terms,
                replayed=bool(earlier), approval=used,
            )  # fmt: skip
        case Refused(now=now, refusals=refusals):
            names = tuple(sorted({refusal.rule for refusal in refusals}))
            after = retry_after(refusals, now)
            return Grant(
                _denied_for_room(decision, names, snapshot),
                _limits=refused(refusals),
                denied_by=names,
                retry_after=after,
            )
        case Rejected(reason=reason):
            code = codes.REUSED if reason == operations.REUSED else codes.UNKNOWN_SESSION
            return denied_by_store(code.id, reason, snapshot)
    return denied_by_store(codes.STORE_AWAY.id, "the state store gave an answer of the wrong kind", snapshot)


def unmetered(decision: Decision, message: str) -> Grant:
    """The answer that every concerned limit gives for an unavailable store, which says so."""
    error = RuleError("", codes.STORE_AWAY.id, f"not metered: {message}")
    return Grant(replace(decision, errors=(*decision.errors, error)), metered=False)


def _denied_for_room(decision: Decision, names: tuple[str, ...], snapshot: Snapshot) -> Decision:
    """The decision of an allowed request for which a limit has no room."""
    rules = {rule.name: rule for rule in snapshot.policies.rules if rule.name in names}
    reasons = tuple(dict.fromkeys(r.reason for name in names if (r := rules[name]).reason is not None))
    return replace(decision, decision="deny", determining=names, reasons=reasons, obligations=(), limits=(), labels=())


def refused_by_errors(decision: Decision, errors: tuple[RuleError, ...]) -> Decision:
    """A limit that cannot be evaluated denies."""
    names = tuple(sorted({error.rule for error in errors if error.rule}))
    return Decision(decision="deny", determining=names, errors=(*decision.errors, *errors), revision=decision.revision)


def denied_by_store(code: str, message: str, snapshot: Snapshot) -> Grant:
    """A denial for a reason other than the policies."""
    return Grant(denied(RuleError("", code, message), snapshot.revision))
