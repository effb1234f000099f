"""What a tool returned is worth: the action `receive` on the tool, with the result in the context.

Label rules on `receive` mark the session, whatever else is decided: what came in has been seen. A label that cannot be
evaluated is set. Where the policies permit, forbid or require anything on `receive`, that is decided as well, and a
result that is not allowed does not reach the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from policyengine.bundle import Snapshot
from policyengine.evaluate.decide import verdicts
from policyengine.evaluate.interpret import Env
from policyengine.ir.nodes import Rule
from policyengine.model.decision import Decision
from policyengine.model.request import request
from policyengine.model.values import Fault

RECEIVE = "receive"
TOOL = "Tool"


@dataclass(frozen=True, slots=True)
class Received:
    """`trusted` is whether the words of this tool are those of somebody who runs the system. `decision` is None where
    no rule is about what comes back."""

    labels: tuple[str, ...]
    trusted: bool
    allowed: bool = True
    reason: str = ""
    decision: Decision | None = None


def receive(
    snapshot: Snapshot, principal: Mapping[str, Any], context: Mapping[str, Any], tool: str, result: Any
) -> Received:
    """Never raises for what the result holds."""
    rules = [rule for rule in snapshot.policies.rules if rule.head.actions is None or RECEIVE in rule.head.actions]
    labels = [rule for rule in rules if rule.kind == "label"]
    trusted = snapshot.world.records.get(TOOL, {}).get(tool, {}).get("reads_untrusted") is False
    known = {**context, "result": result}
    resource = {"type": TOOL, "id": tool}
    try:
        seen = verdicts(labels, Env(request(principal, RECEIVE, resource, known), snapshot.world))
    except Fault as fault:
        return Received(_names(labels), trusted, False, f"what `{tool}` returned cannot be looked at: {fault.message}")
    marked = _names([*seen.held, *seen.erred])
    if not any(rule.kind != "label" and rule.head.actions is not None for rule in rules):
        return Received(marked, trusted)
    decision = snapshot.evaluator.decide_met(principal, RECEIVE, resource, known, frozenset())
    if decision.decision != "allow" or decision.unmetered:
        why = "; ".join(decision.reasons) or "it is not allowed here"
        return Received(marked, trusted, False, f"what `{tool}` returned may not be read: {why}", decision)
    return Received(marked, trusted, decision=decision)


def _names(labels: Sequence[Rule]) -> tuple[str, ...]:
    """A label is its rule's name, without the module."""
    return tuple(sorted({rule.name.rpartition(".")[2] for rule in labels}))
