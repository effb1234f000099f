"""The consequences of a grant: limits are reported to people, and a denial for lack of room gets the obligations of its
rules.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from policyengine.bundle import Snapshot
from policyengine.evaluate.combine import combine
from policyengine.evaluate.decide import properties_in, verdicts
from policyengine.evaluate.interpret import Env
from policyengine.model.decision import Decision
from policyengine.state.alerts import More, report, report_more
from policyengine.state.charges import Metered
from policyengine.state.grant import Grant
from policyengine.state.operations import MeterUse, Outcome, Refused
from policyengine.state.stateful_rules import Metering


def followed(
    grant: Grant,
    outcome: Outcome,
    metered: Sequence[Metered],
    metering: Metering,
    snapshot: Snapshot,
    tenant: str,
    envs: Sequence[Env],
) -> Grant:
    """The grant, with all its consequences. `envs` are the Envs of all actors."""
    if metering.alerting:
        reported(grant, outcome, metered, metering, lambda: tenant)
    if isinstance(outcome, Refused) and metering.denials_owe:
        grant.decision = _owing(grant.decision, snapshot, envs)
    return grant


def reported(
    grant: Grant, outcome: Outcome, metered: Sequence[Metered], metering: Metering, tenant: Callable[[], str]
) -> Grant:
    """The grant, after its limits were reported; their settlement will be reported as well."""
    report(outcome, metered, tenant, metering.events)
    grant.on_settled = partial(_settled, metered, metering, tenant)
    return grant


def _settled(
    metered: Sequence[Metered], metering: Metering, tenant: Callable[[], str], uses: Sequence[MeterUse], more: More
) -> None:
    report_more(uses, more, metered, tenant, metering.events)


def _owing(decision: Decision, snapshot: Snapshot, envs: Sequence[Env]) -> Decision:
    imposing = [rule for rule in snapshot.policies.rules if rule.kind == "require" and rule.on_deny]
    denials = [combine(verdicts(imposing, env), (), properties_in(env), decision.revision) for env in envs]
    owed = [each for denial in denials for each in denial.obligations]
    errors = [error for denial in denials for error in denial.errors]
    unique = tuple(each for at, each in enumerate(owed) if each not in owed[:at])
    return replace(decision, obligations=unique, errors=(*decision.errors, *errors))
