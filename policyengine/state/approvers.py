"""Who may approve a request: the members of the group that `by` names, unless a policy about `approve` denies it.

The requester may never approve, and neither may an agent, whether it acts for the requester or for somebody else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from policyengine.bundle import Snapshot
from policyengine.evaluate.delegation import actors
from policyengine.ir.nodes import Rule
from policyengine.model.entities import ABSENT
from policyengine.model.request import request
from policyengine.model.values import Fault, Uid
from policyengine.schema.members import agent_types
from policyengine.state import approval_operations as reasons
from policyengine.state.approval_operations import Ticket
from policyengine.state.approval_scope import entity_name, identity
from policyengine.state.approving import demand, demanding

APPROVE, TASK = "approve", "ApprovalTask"
AGENT = "an agent cannot approve anything, for anyone"
POLICY = "the policies about `approve` do not allow this approver"


class Ineligible(Exception):
    """Somebody may not approve, and why."""


def eligible(
    ticket: Ticket, approver: Mapping[str, Any], context: Mapping[str, Any] | None, snapshot: Snapshot
) -> tuple[str, tuple[str, ...]]:
    """The identity of an approver, and the rules whose approval it may give. Raises Ineligible, and Fault if it is not
    an entity."""
    asked = request(approver, APPROVE, task_entity(ticket), context)
    uid = asked.principal.uid
    who = identity(*uid)
    if who == ticket["requester"] or who in ticket["agents"]:
        raise Ineligible(reasons.SELF)
    agents = agent_types(snapshot.schema)
    if (agents is not None and uid.type in agents) or actors(asked, snapshot.world, snapshot.schema)[1:]:
        raise Ineligible(AGENT)
    if ticket["tenant"] and snapshot.world.find(asked.principal, "tenant") not in (ABSENT, ticket["tenant"]):
        raise Ineligible(reasons.NOT_ELIGIBLE)
    above = {uid, *snapshot.world.ancestors(asked.principal)}
    rules = demanding(snapshot, {need["rule"] for need in ticket["needs"]})
    named = tuple(rule.name for rule in rules if rule.demands_approval and Uid(*demand(rule).by) in above)
    if not named:
        raise Ineligible(reasons.NOT_ELIGIBLE)
    if not _allowed(approver, asked.resource.attributes, asked.context, snapshot):
        raise Ineligible(POLICY)
    return who, named


def task_entity(ticket: Ticket) -> dict[str, Any]:
    """A request for approval as policies about it read it."""
    type_, id_ = json.loads(ticket["resource"])
    entity = {
        "type": TASK,
        "id": ticket["id"],
        "tenant": ticket["tenant"],
        "rules": [need["rule"] for need in ticket["needs"]],
        "requester": entity_name(ticket["requester"]),
        "agents": [entity_name(agent) for agent in ticket["agents"]],
        "action": ticket["action"],
        "resource_type": type_,
        "resource_id": id_,
        "context": json.loads(ticket["context"]),
    }
    args = json.loads(ticket["args"])
    return entity if args is None else {**entity, "args": args}


def _allowed(approver: Any, task: Any, context: Any, snapshot: Snapshot) -> bool:
    """Policies narrow and never widen: if some permit names `approve`, one must hold; and no forbid may."""
    decision = snapshot.evaluator.decide(approver, APPROVE, task, context)
    if decision.allowed:
        return True
    silent = decision.decision == "deny" and not decision.determining and not decision.errors
    return silent and not any(map(_permits, snapshot.policies.rules))


def _permits(rule: Rule) -> bool:
    return rule.kind == "permit" and rule.head.actions is not None and APPROVE in rule.head.actions


def reason_of(fault: Fault) -> str:
    """Why somebody is not an approver."""
    return f"the approver is not an entity: {fault.message}"
