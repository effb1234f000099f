"""Reports about rules on trial: one would have changed a decision, or could not be evaluated."""

from __future__ import annotations

from policyengine.events.event import Event
from policyengine.events.sink import Sink
from policyengine.model.decision import Trial
from policyengine.state.grant import Grant


def reported(grant: Grant, events: Sink, tenant: str) -> Grant:
    """The grant, after its report."""
    for trial in grant.decision.tried:
        if trial.changes or trial.error is not None:
            events.send(_event(trial, grant.decision.decision, tenant))
    return grant


def _event(trial: Trial, decision: str, tenant: str) -> Event:
    fields = {
        "rule": trial.rule, "kind": trial.kind, "decision": decision, "would_be": trial.decision,
        "obligations": trial.obligations, "error": trial.error.code if trial.error is not None else None,
    }  # fmt: skip
    return Event("rule.tried", fields, tenant)
