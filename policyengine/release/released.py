"""The results of a release check and of an admission."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from policyengine.model.decision import Decision, Obligation, RuleError
from policyengine.release.scanning import ContentFinding
from policyengine.release.validity import Violation
from policyengine.state.grant import Grant

# Gives what is known of a text, on demand.
Describe = Callable[[], Mapping[str, Any]]
_NO_SOURCES = "attribute `sources` is missing"


@dataclass(frozen=True, slots=True)
class Released:
    """The result for a text that was to leave.

    allowed: it may leave, as `text`, and all orders have been carried out.
    text: what may leave, None if nothing may. JSON that was given as a value is returned as one.
    decision: the decision of the policies.
    findings: the findings of the kinds that rules or orders need. Never a value.
    errors: why something allowed could not be carried out: a finder failed, or nobody here can fulfil an order.
    invalid: where the text as it would leave is not valid.
    owed: obligations that are not about the text, and that the caller said it fulfils.
    grant: to settle what a limit has reserved.
    """

    allowed: bool
    text: Any
    decision: Decision
    findings: tuple[ContentFinding, ...] = ()
    errors: tuple[RuleError, ...] = ()
    invalid: tuple[Violation, ...] = ()
    owed: tuple[Obligation, ...] = ()
    grant: Grant | None = None

    def __bool__(self) -> bool:
        return self.allowed

    @property
    def reason(self) -> str:
        """One line for people and models, without any value."""
        if self.allowed:
            return ""
        if self.errors:
            return "; ".join(dict.fromkeys(error.message for error in self.errors))
        return "; ".join(self.decision.reasons) or self.decision.summary + _forgotten(self.decision)


@dataclass(frozen=True, slots=True)
class Admitted(Released):
    """The result for the input of a model. `text` is the part that may go in."""

    described: Describe | None = field(default=None, repr=False, compare=False)

    @property
    def input(self) -> Mapping[str, Any] | None:
        """The `context.input` that rules can read; None if the input was not inspected."""
        return None if self.described is None else self.described()

    @property
    def messages(self) -> Any:
        """What may go into the model, in its original form."""
        return self.text


def _forgotten(decision: Decision) -> str:
    """What a deciding rule reads and the caller did not give: the documents that an output draws on."""
    missing = any(one.message == _NO_SOURCES and one.rule in decision.determining for one in decision.errors)
    return f": {_NO_SOURCES}; name them with `sources`, none with an empty list" if missing else ""


class NotReleased(PermissionError):
    """Ends a stream of which nothing more may leave. `released` gives the reason; its text may be shown. With `cut`, a
    rule with `on stream cut` holds for what has arrived, and everything before has been sent."""

    def __init__(self, released: Released, cut: bool = False) -> None:
        super().__init__(released.reason or "it may not be released")
        self.released = released
        self.cut = cut
