"""The three outcomes of a condition as formulas: when it is true, when it is false, when it has a value at all.

A condition that errs is neither true nor false, so "false" is not "not true". `and` and `or` stop at the first item
that decides, so what comes after it may err without harm.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from policyengine.partial.atoms import size
from policyengine.partial.formula import FALSE, TRUE, Formula
from policyengine.partial.logic import conj, disj

# Beyond so many atoms evaluation is cheaper than asking.
MAX_ATOMS = 2_000
# Of longer chains, parts of this length are put together first: formulas stay flat enough to be walked by recursion.
CHUNK = 16


# That a condition is true, that it is false, or (None) that it has a value.
Wanted = bool | None


class Outcome(ABC):
    """When a condition is true, when it is false, and when it is either."""

    __slots__ = ()

    @property
    @abstractmethod
    def true(self) -> Formula: ...

    @property
    @abstractmethod
    def false(self) -> Formula: ...

    @property
    @abstractmethod
    def defined(self) -> Formula: ...

    def when(self, wanted: Wanted) -> Formula:
        return self.defined if wanted is None else self.true if wanted else self.false


class Told(Outcome):
    """An outcome whose formulas are known."""

    __slots__ = ("_defined", "_false", "_true")

    def __init__(self, true: Formula, false: Formula, defined: Formula) -> None:
        self._true, self._false, self._defined = true, false, defined

    @property
    def true(self) -> Formula:
        return self._true

    @property
    def false(self) -> Formula:
        return self._false

    @property
    def defined(self) -> Formula:
        return self._defined


ALWAYS = Told(TRUE, FALSE, TRUE)
NEVER = Told(FALSE, TRUE, TRUE)
ERRS = Told(FALSE, FALSE, FALSE)


class Lazily(Outcome):
    """An outcome whose formulas are worked out when they are asked for, and once: of most only one matters."""

    __slots__ = ("_known", "_of")

    def __init__(self, of: Callable[[Wanted], Formula]) -> None:
        self._of = of
        self._known: dict[Wanted, Formula] = {}

    def when(self, wanted: Wanted) -> Formula:
        found = self._known.get(wanted)
        if found is None:
            found = self._known[wanted] = self._of(wanted)
        return found

    @property
    def true(self) -> Formula:
        return self.when(True)

    @property
    def false(self) -> Formula:
        return self.when(False)

    @property
    def defined(self) -> Formula:
        return self.when(None)


def bounded(of: Outcome, instead: Outcome) -> Outcome:
    """The outcome; what gets too large of it, `instead` tells."""
    if isinstance(of, Told):
        return of

    def when(wanted: Wanted) -> Formula:
        formula = of.when(wanted)
        return formula if size(formula) <= MAX_ATOMS else instead.when(wanted)

    return Lazily(when)


def choice(test: Outcome, then: Outcome, otherwise: Outcome) -> Outcome:
    """`if`: whichever of the two the test asks for."""
    if test is ALWAYS or test is NEVER:
        return then if test is ALWAYS else otherwise
    if test is ERRS:
        return ERRS
    return Lazily(
        lambda wanted: disj(conj(test.true, then.when(wanted)), conj(test.false, otherwise.when(wanted)))
    )  # fmt: skip


def negation(of: Outcome) -> Outcome:
    if of is ALWAYS or of is NEVER:
        return NEVER if of is ALWAYS else ALWAYS
    return of if of is ERRS else Lazily(lambda wanted: of.when(wanted if wanted is None else not wanted))


def both(outcomes: Sequence[Outcome]) -> Outcome:
    """`and`: from left to right, up to the first that is false."""
    items = [item for item in outcomes if item is not ALWAYS]
    if len(items) < 2:
        return items[0] if items else ALWAYS
    if items[0] is NEVER or items[0] is ERRS:
        return items[0]
    if len(items) > CHUNK:
        length = max(CHUNK, -(-len(items) // CHUNK))
        return both([both(items[start : start + length]) for start in range(0, len(items), length)])

    def when(wanted: Wanted) -> Formula:
        if wanted:
            return conj(*(item.true for item in items))
        *others, last = items
        whole = last.when(wanted)
        for item in reversed(others):
            whole = disj(item.false, conj(item.defined, whole))
        return whole

    return Lazily(when)


def either(outcomes: Sequence[Outcome]) -> Outcome:
    """`or`: from left to right, up to the first that is true."""
    return outcomes[0] if len(outcomes) == 1 else negation(both([negation(item) for item in outcomes]))
