"""The answer to a request.

A decision is `allow` or `deny`, never anything else. `allowed` is stricter than `decision`: it is true only for an
`allow` that owes nothing, so that `if decision.allowed:` cannot let an unmet obligation through.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Literal

# As many determining rules and errors are listed; of more, how many there are is said beside.
MOST_LISTED = 100


@dataclass(frozen=True, slots=True)
class Obligation:
    """Something the caller must do to honour a decision. `id` is the rule that imposed it, and its place there."""

    id: str
    type: str
    properties: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Approval:
    """An approval that a `require` rule demands and the request does not have yet. `by` is a reference to the group
    that may give it, `within` how long it may be used, as text such as "15m"; `uses` how often, and `of` how many
    different people must give it."""

    rule: str
    by: Mapping[str, str]
    within: str | None = None
    uses: int = 1
    of: int = 1


@dataclass(frozen=True, slots=True)
class RuleError:
    """A rule that could not be evaluated, and why. `rule` is empty when the request itself is malformed."""

    rule: str
    code: str
    message: str
    location: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """A rule that is tried and spoke about the request, and what would have come of it in force, beside the rules that
    are.

    kind: what rule it is, "forbid" for example.
    decision: what the decision would have been.
    changes: whether anything of the decision would have been different: what it is, what is owed, or labels.
    obligations: the types of what it would have imposed, of an approval "approval".
    error: why it could not be evaluated, where it could not.
    """

    rule: str
    kind: str
    decision: Literal["allow", "deny"]
    changes: bool
    obligations: tuple[str, ...] = ()
    error: RuleError | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to one request, from one revision of the policies.

    decision: "allow" or "deny".
    determining: names of the rules that made it so, sorted; empty when nothing permitted the request.
    reasons: the public `because` texts of the determining rules.
    obligations: what the caller owes, for this decision to be honoured.
    approvals: the approvals whose absence alone made this a deny.
    limits: names of the limits that meter an allowed request.
    labels: what the session carries once an allowed request is recorded, as rules find it in `session.labels`.
    errors: every rule that could not be evaluated, whether or not it mattered; of many, one for each reason.
    determining_total, errors_total: how many there are, where these lists do not hold them all.
    revision: the snapshot that answered.
    metered: those of the limits that the caller said it meters.
    tried: what rules that are tried would have changed; nothing here depends on it.
    """

    decision: Literal["allow", "deny"]
    determining: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    obligations: tuple[Obligation, ...] = ()
    approvals: tuple[Approval, ...] = ()
    limits: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    errors: tuple[RuleError, ...] = ()
    revision: str = field(default="", compare=False)
    metered: frozenset[str] = field(default=frozenset(), compare=False)
    determining_total: int = 0
    errors_total: int = 0
    tried: tuple[Trial, ...] = ()

    @property
    def allowed(self) -> bool:
        """True only for an `allow` that owes no obligation, and names no limit but those that the caller meters."""
        return self.decision == "allow" and not self.obligations and not self.unmetered

    @property
    def unmetered(self) -> tuple[str, ...]:
        """The limits that apply, and that nobody said to meter."""
        return tuple([name for name in self.limits if name not in self.metered]) if self.limits else ()

    def allowed_if(self, fulfilled: Collection[str]) -> bool:
        """True for an `allow` whose every obligation has a type named in `fulfilled`, for example `{"redact"}`, and
        that names no limit but those that the caller meters. Raises TypeError for a text or a mapping, which would hold
        more than they name."""
        # A frozen set is neither, which is sooner told than that.
        if type(fulfilled) is not frozenset and isinstance(fulfilled, str | Mapping):
            raise TypeError("`fulfilled` must be a collection of obligation types")
        return self.decision == "allow" and not self.unmetered and all(o.type in fulfilled for o in self.obligations)

    def __bool__(self) -> bool:
        return self.allowed

    @property
    def summary(self) -> str:
        """One line that says what was decided and why, without any value of the request."""
        erred = {error.rule for error in self.errors}
        rules = ", ".join(
            f"`{name}`" + (" (could not be evaluated)" if name in erred else "") for name in self.determining
        )
        if self.determining_total:
            rules += f" and {self.determining_total - len(self.determining):,} more"
        if self.decision == "allow":
            owed = ", ".join(sorted({o.type for o in self.obligations}))
            return f"allowed by {rules}" + (f", provided that the caller does: {owed}" if owed else "")
        if self.approvals:
            return f"denied until approved, as {rules} requires"
        if rules:
            return f"denied by {rules}"
        if self.errors and not self.errors[0].rule:
            return f"denied: {self.errors[0].message}"
        return "denied: no permit applies" + (", and some rules could not be evaluated" if self.errors else "")


def listed_errors(faults: Sequence[tuple[str, str]], error: Callable[[int], RuleError]) -> list[RuleError]:
    """The errors of rules, whose codes and messages are known. Of more than MOST_LISTED, one for each code and message,
    and at most MOST_LISTED of these: what a request lacks is most often read by many rules, and is missing once."""
    if len(faults) <= MOST_LISTED:
        return list(map(error, range(len(faults))))
    count, first = Counter(faults), dict[tuple[str, str], int]()
    for number, fault in enumerate(faults):
        first.setdefault(fault, number)
    counted = [(error(number), count[fault]) for fault, number in islice(first.items(), MOST_LISTED)]
    return [one if n == 1 else replace(one, message=f"{one.message}, in {n:,} rules") for one, n in counted]
