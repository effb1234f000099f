"""The results of a release check and of an admission."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from policyengine.model.decision import Decision, Obligation, RuleError
from policyengine.release.scanning import ContentFinding
from policyengine.release.validity import Violation
from policyengine.state.grant import Grant

# Makes what is known of a text, once somebody asks.
Told = Callable[[], Mapping[str, Any]]
_NO_SOURCES = "attribute `sources` is missing"


@dataclass(frozen=True, slots=True)
class Released:
    """A text that was asked to leave.

    allowed: it may, as `text`, and all that was ordered has been done to it.
    text: what may leave, None where nothing may. JSON that was given as a value comes back as one.
    decision: what the policies say.
    findings: what was found, for which rules or orders it was looked. Never a value.
    errors: why what is allowed could not be carried out: a finder that failed, an order that nobody here can do.
    invalid: where the text as it would leave is not what it has to be.
    owed: obligations that are not about the text, and that the caller said it fulfils.
    grant: for a limit's reservation to be settled.
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
    """What was to go into a model. `text` is the part that may."""

    told: Told | None = field(default=None, repr=False, compare=False)

    @property
    def input(self) -> Mapping[str, Any] | None:
        """What rules can read of it; None where it was not looked at."""
        return None if self.told is None else self.told()

    @property
    def messages(self) -> Any:
        """What may go on, in the form in which it came."""
        return self.text


def _forgotten(decision: Decision) -> str:
    """What a rule that decided reads and nobody gave: the documents that an output draws on."""
    missing = any(one.message == _NO_SOURCES and one.rule in decision.determining for one in decision.errors)
    return f": {_NO_SOURCES}; name them with `sources`, none with an empty list" if missing else ""


class NotReleased(PermissionError):
    """Ends a stream of which nothing more may leave. `released` says why; its text may be shown. With `cut`, a rule
    with `on stream cut` holds for what has arrived, and what came before has been sent."""

    def __init__(self, released: Released, cut: bool = False) -> None:
        super().__init__(released.reason or "it may not leave")
        self.released = released
        self.cut = cut
