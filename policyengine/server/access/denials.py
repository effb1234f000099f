"""The answer to an evaluation for which an approval is missing, or that presents one.

A request that presents an approval reads the store and uses the approval once, unless the caller cannot fulfil what it
would owe: then nothing is used. If an approval is missing, the answer says how to ask for it; in a batch, only a
limited number of answers do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from policyengine.authzen.engine_arguments import DecideArguments
from policyengine.bundle import Snapshot
from policyengine.callers.caller import Caller
from policyengine.engine import Engine
from policyengine.model.decision import Decision
from policyengine.server import encode
from policyengine.server.access.binding_hash import Wire
from policyengine.server.access.request_hints import AccessHints
from policyengine.server.metering import answered
from policyengine.server.record import Decided
from policyengine.state.authorize import APPROVAL, holder
from policyengine.state.grant import Grant
from policyengine.state.stateful_rules import SESSION

# The most denials of one batch that say how to ask.
MOST = 16


@dataclass(slots=True)
class Denials:
    """The denials of one request or batch. `wire` gives what was sent, by its place among the items."""

    desk: AccessHints
    caller: Caller
    wire: Callable[[int], Wire]
    left: int = MOST

    def body(self, decision: Decision, asked: DecideArguments, snapshot: Snapshot, at: int = 0) -> bytes:
        """The bytes of a decision."""
        if not decision.approvals or decision.decision == "allow" or self.desk.signer is None or not self.left:
            return encode.decision_body(decision)
        tenant = tenant_of(self.caller, asked)
        hints = self.desk.denial(self.wire(at), decision.approvals, snapshot, tenant)
        if not hints:
            return encode.decision_body(decision)
        self.left -= 1
        value = encode.decision_value(decision)
        value["context"] |= hints
        return encode.value_body(value)

    def presented(self, engine: Engine, asked: DecideArguments, at: int = 0) -> tuple[bytes, Decided]:
        """The answer to a request, checked and bound, that presents an approval."""
        given = asked["context"]
        context = {name: value for name, value in given.items() if name not in (APPROVAL, SESSION)}
        grant = engine.use_approval(
            principal=asked["principal"],
            action=asked["action"],
            resource=asked["resource"],
            context=context,
            approval=self.desk.presented(given),
            session=session_of(given),
            tenant=self.caller.tenant,
            accepts=partial(answered, context=context),
        )
        value = encode.decision_value(grant.decision)
        value["context"] |= self.of_grant(grant, engine, at)
        return encode.value_body(value), (asked, grant.decision)

    def of_grant(self, grant: Grant, engine: Engine, at: int = 0) -> dict[str, Any]:
        """The approvals part of a grant's context."""
        if grant.approval is None and grant.access_request is None and grant.approval_denied is None:
            return {}
        hints = self.desk.of_grant(grant, self.wire(at), engine.snapshot, asks=self.left > 0)
        self.left -= "access_request" in hints
        return hints


def tenant_of(caller: Caller, asked: Mapping[str, Any]) -> str:
    """The tenant of a request: the caller's, if it is bound to one."""
    return caller.tenant if caller.tenant is not None else holder(asked["principal"], asked["context"])[0]


def session_of(context: Mapping[str, Any]) -> str | None:
    """The id of the session that a context names."""
    given = context.get(SESSION)
    id_ = given.get("id") if isinstance(given, Mapping) else given
    return id_ if isinstance(id_, str) else None


def in_batch(value: Mapping[str, Any], order: Sequence[int]) -> Callable[[int], Wire]:
    """What was sent, by the place of an item among those that differ."""

    def wire(at: int) -> Wire:
        item = value["evaluations"][order.index(at)]
        return {name: item.get(name, value.get(name, {})) for name in ("subject", "action", "resource", "context")}

    return wire
