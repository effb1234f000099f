"""The decision about a proposed call, in words that a model can act on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from policyengine.diagnostics import codes
from policyengine.evaluate.combine import denied
from policyengine.model.decision import Approval, Decision, RuleError
from policyengine.state.grant import Grant
from policyengine.state.store import StoreError


class ToolCall(Struct, frozen=True):
    """A call of a tool, decided on its final arguments.

    allowed: it may run now, with `arguments` and with no others.
    arguments: the arguments, with every change that the policies order; None if it may not run.
    reason: why not, in words for a model and for people; it reveals no policy and no value.
    approvals: what a person has to approve first, for exactly this call.
    provenance: where the arguments came from, for those whose sources the rules read.
    grant: to settle what a limit has reserved.
    """

    tool: str
    allowed: bool
    arguments: Mapping[str, Any] | None
    decision: Decision
    proposed: Mapping[str, Any]
    provenance: Mapping[str, Any] = {}
    reason: str = ""
    approvals: tuple[Approval, ...] = ()
    errors: tuple[RuleError, ...] = ()
    grant: Grant | None = None

    def __bool__(self) -> bool:
        return self.allowed

    def __repr__(self) -> str:
        return f"ToolCall(tool={self.tool!r}, allowed={self.allowed}, reason={self.reason!r})"

    @property
    def changed(self) -> bool:
        """Whether the arguments differ from those that were proposed."""
        return self.allowed and self.arguments != self.proposed


class Observed(Struct, frozen=True):
    """What a tool returned, as the model may have it: `value`, which is None if `allowed` is false. `labels` are the
    labels that the session carries from now on because of it."""

    tool: str
    allowed: bool
    value: Any
    labels: tuple[str, ...] = ()
    reason: str = ""

    def __bool__(self) -> bool:
        return self.allowed

    def __repr__(self) -> str:
        return f"Observed(tool={self.tool!r}, allowed={self.allowed}, labels={self.labels}, reason={self.reason!r})"


def reason(tool: str, decision: Decision, grant: Grant | None) -> str:
    """Why a call may not run. A public `because` takes precedence."""
    if decision.approvals:
        who = ", ".join(sorted({f"{one.by.get('type')} {one.by.get('id')}" for one in decision.approvals}))
        return f"`{tool}` has to be approved by {who} first"
    if grant is not None and grant.denied_by:
        wait = f"; try again in {grant.retry_after} s" if grant.retry_after is not None else "; waiting will not help"
        return f"`{tool}` is over a limit{wait}"
    if decision.reasons:
        return f"`{tool}` may not run: {'; '.join(decision.reasons)}"
    return f"`{tool}` may not run with these arguments in this session"


def refused(tool: str, arguments: Any, message: str, revision: str) -> ToolCall:
    """A call that may not run, whatever the policies of this revision say."""
    decision = denied(RuleError("", codes.MALFORMED.id, message), revision)
    return ToolCall(tool, False, None, decision, arguments, reason=f"`{tool}` may not run: {message}")


def not_recorded(error: Exception) -> str:
    why = error.public_message if isinstance(error, StoreError) else error
    return f"the result could not be recorded: {why}"
