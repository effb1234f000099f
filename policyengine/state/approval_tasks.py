"""A request for approval as people and programs see it, and its document when it is new."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from policyengine.bundle import Snapshot
from policyengine.state.approval_operations import Ticket
from policyengine.state.approval_scope import entity_name
from policyengine.state.approvals import state_of
from policyengine.state.approving import (
    AccessRequest,
    ApprovalRef,
    approval_id,
    demand,
    demanding,
    task_id,
    written,
)
from policyengine.state.windows import SECOND

Status = Literal["pending", "approved", "denied", "cancelled", "expired"]


@dataclass(frozen=True, slots=True)
class Need:
    """The demand of one rule: `of` different people of `by` (`Group::"finance"`), and who has approved so far."""

    rule: str
    by: str
    of: int
    approvers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Task:
    """A request for approval. Entities are named as policies write them; times are seconds since 1970.

    status: the state of the request. An approval that was revoked stays `approved`, and is `revoked`.
    request: exactly what would run: principal, action, resource with its arguments, context.
    needs: the demands of each rule, and who has approved.
    why, evaluation, client: the requester's reason, the evaluation that led here, and the caller's client.
    approval: the id to repeat the request with; None until it is approved.
    approved_until: when the approval ends; `uses` is how often it can be used, and `used` how often it was.
    within: how long an approval would hold, in seconds.
    """

    id: str
    status: Status
    tenant: str
    requester: str
    agents: tuple[str, ...]
    action: str
    resource: str
    request: Mapping[str, Any]
    session: str | None
    needs: tuple[Need, ...]
    why: str
    evaluation: str
    client: str
    revision: str
    any_revision: bool
    created: float
    expires_at: float
    within: float
    uses: int
    used: int
    approval: str | None = None
    approved_at: float | None = None
    approved_until: float | None = None
    revoked: bool = False
    owner: str = ""
    callback: str = ""
    log: tuple[Mapping[str, Any], ...] = ()


def task(ticket: Ticket, now: int) -> Task:
    """The task of a ticket, as it is now."""
    named = ApprovalRef(ticket["tenant"], ticket["id"], ticket["secret"])
    approved = ticket["state"] == "approved"
    type_, id_ = json.loads(ticket["resource"])
    return Task(
        id=task_id(named),
        status=state_of(ticket, now),  # type: ignore[arg-type]
        tenant=ticket["tenant"],
        requester=entity_name(ticket["requester"]),
        agents=tuple(map(entity_name, ticket["agents"])),
        action=ticket["action"],
        resource=entity_name(json.dumps([type_, id_])),
        request=json.loads(ticket["shown"]),
        session=ticket["session"] or None,
        needs=tuple(
            Need(need["rule"], need["by"], need["of"], tuple(map(entity_name, need["approvers"])))
            for need in ticket["needs"]
        ),
        why=ticket["why"],
        evaluation=ticket["evaluation"],
        client=ticket["client"],
        revision=ticket["revision"],
        any_revision=ticket["any_revision"],
        created=ticket["created"] / SECOND,
        expires_at=ticket["expires"] / SECOND,
        within=min(need["within"] for need in ticket["needs"]) / SECOND,
        uses=ticket["uses"],
        used=ticket["used"],
        approval=approval_id(named) if approved else None,
        approved_at=ticket["decided"] / SECOND if approved else None,
        approved_until=ticket["until"] / SECOND if approved else None,
        revoked=bool(ticket["revoked"]),
        owner=ticket["owner"],
        callback=ticket["callback"],
        log=tuple({**line, "at": line["at"] / SECOND} for line in ticket["log"]),
    )


@dataclass(frozen=True, slots=True)
class Submission:
    """Data besides the request itself: the reason, the caller, the evaluation, the caller's client, and where to report
    the end. `once` and `body` are a retry's key and the digest of its request; `token` may be used once, within this
    many microseconds."""

    why: str = ""
    caller: str = ""
    evaluation: str = ""
    client: str = ""
    callback: str = ""
    once: str = ""
    body: str = ""
    token: str = ""
    token_life: int = 0


def ticket(
    wanted: AccessRequest, submission: Submission, named: ApprovalRef, snapshot: Snapshot
) -> dict[str, Any] | None:
    """The document of a new request; None if a rule that demanded it no longer exists."""
    rules = demanding(snapshot, {each.rule for each in wanted.approvals})
    if len(rules) != len(wanted.approvals) or not all(rule.demands_approval for rule in rules):
        return None
    demands = [demand(rule) for rule in rules]
    scope = wanted.scope
    return {
        "id": named.number,
        "tenant": named.tenant,
        "secret": named.secret,
        "owner": submission.caller,
        "requester": scope.requester,
        "agents": list(scope.agents),
        "scope": scope.digest,
        "revision": wanted.revision,
        "any_revision": all(each.any_revision for each in demands),
        "uses": min(each.uses for each in demands),
        "needs": [
            {
                "rule": rule.name,
                "same": written(rule),
                "by": entity_name(json.dumps(each.by)),
                "of": each.of,
                "within": each.within,
                "approvers": [],
            }
            for rule, each in zip(rules, demands, strict=True)
        ],
        "log": [],
        "callback": submission.callback,
        "action": scope.action,
        "resource": json.dumps(scope.resource),
        "args": json.dumps(scope.args),
        "context": json.dumps(scope.context),
        "shown": scope.shown,
        "session": wanted.session or "",
        "why": submission.why[:LONGEST],
        "evaluation": submission.evaluation,
        "client": submission.client,
    }


# The longest reason, in characters.
LONGEST = 2_000
