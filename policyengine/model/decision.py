"""The answer to a request.

A decision is `allow` or `deny`, never anything else. `allowed` is stricter than `decision`: it is true only for an
`allow` without obligations, so that `if decision.allowed:` cannot let an unmet obligation through.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Literal

# The most determining rules, and the most errors, that are listed; their total numbers are given as well.
MOST_LISTED = 100


@dataclass(frozen=True, slots=True)
class Obligation:
    """Something the caller must do to honour a decision. `id` is the name of the rule that imposed it, and its place
    there."""

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
    """A rule on trial that applied to the request, and its effect if it were in force together with the rules that are.

    kind: the kind of rule, such as "forbid".
    decision: what the decision would have been.
    changes: whether the decision would have been different in its effect, its obligations or its labels.
    obligations: the types of obligation that it would have imposed, "approval" for an approval.
    error: why it could not be evaluated, if it could not.
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
    determining: names of the rules that led to the decision, sorted; empty when nothing permitted the request.
    reasons: the public `because` texts of the determining rules.
    obligations: what the caller must do to honour this decision.
    approvals: the approvals whose absence alone made this a deny.
    limits: names of the limits that meter an allowed request.
    labels: the labels of the session once an allowed request is recorded, as rules read them in `session.labels`.
    errors: every rule that could not be evaluated, even if it did not matter; if there are many, one for each reason.
    determining_total, errors_total: the total numbers, if these lists are not complete.
    revision: the snapshot that answered.
    metered: those of the limits that the caller said it meters.
    tried: the changes that rules on trial would have made; nothing else here depends on them.
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
        """True only for an `allow` without obligations and without limits that the caller does not meter."""
        return self.decision == "allow" and not self.obligations and not self.unmetered

    @property
    def unmetered(self) -> tuple[str, ...]:
        """The limits that apply and that the caller does not meter."""
        return tuple([name for name in self.limits if name not in self.metered]) if self.limits else ()

    def allowed_if(self, fulfilled: Collection[str]) -> bool:
        """True for an `allow` whose every obligation has a type named in `fulfilled`, for example `{"redact"}`, and
        which names only limits that the caller meters. Raises TypeError for a text or a mapping, whose `in` finds more
        than they name."""
        # A frozenset is neither, and this test is faster.
        if type(fulfilled) is not frozenset and isinstance(fulfilled, str | Mapping):
            raise TypeError("`fulfilled` must be a collection of obligation types")
        return self.decision == "allow" and not self.unmetered and all(o.type in fulfilled for o in self.obligations)

    def __bool__(self) -> bool:
        return self.allowed

    @property
    def summary(self) -> str:
        """One line with the decision and its reasons, without any value of the request."""
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
    """The errors of rules, whose codes and messages are known. If there are more than MOST_LISTED, one for each code
    and message, and at most MOST_LISTED of these: many rules often read one attribute that the request lacks."""
    if len(faults) <= MOST_LISTED:
        return list(map(error, range(len(faults))))
    count, first = Counter(faults), dict[tuple[str, str], int]()
    for number, fault in enumerate(faults):
        first.setdefault(fault, number)
    counted = [(error(number), count[fault]) for fault, number in islice(first.items(), MOST_LISTED)]
    return [one if n == 1 else replace(one, message=f"{one.message}, in {n:,} rules") for one, n in counted]
