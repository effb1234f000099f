"""`and`, `or`, `not` and `if` over the three outcomes of a condition: true, false, error.

A condition that errs is neither true nor false, so "false" is not "not true". `and` and `or` stop at the first item
that decides, so what comes after it may err without harm.

The conditions for an outcome are propositions of any algebra: formulas about an unknown entity (`partial/outcome.py`),
the terms of a solver, or plain booleans, with which the tests compare all of this to the interpreter.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

P = TypeVar("P")
# Longer chains are combined in chunks of this length first, so that propositions stay flat enough for recursion.
CHUNK = 16

# Whether a condition is true, whether it is false, or (None) whether it has a value.
WantedTruth = bool | None


class Outcome(ABC, Generic[P]):
    """When a condition is true, when it is false, and when it has a value."""

    __slots__ = ()

    @property
    @abstractmethod
    def true(self) -> P: ...

    @property
    @abstractmethod
    def false(self) -> P: ...

    @property
    @abstractmethod
    def defined(self) -> P: ...

    def when(self, wanted: WantedTruth) -> P:
        return self.defined if wanted is None else self.true if wanted else self.false


class KnownOutcome(Outcome[P]):
    """An outcome whose propositions are known."""

    __slots__ = ("_defined", "_false", "_true")

    def __init__(self, true: P, false: P, defined: P) -> None:
        self._true, self._false, self._defined = true, false, defined

    @property
    def true(self) -> P:
        return self._true

    @property
    def false(self) -> P:
        return self._false

    @property
    def defined(self) -> P:
        return self._defined


class LazyOutcome(Outcome[P]):
    """An outcome whose propositions are computed when they are needed, and once: most often only one is."""

    __slots__ = ("_known", "_of")

    def __init__(self, of: Callable[[WantedTruth], P]) -> None:
        self._of = of
        self._known: dict[WantedTruth, P] = {}

    def when(self, wanted: WantedTruth) -> P:
        outcome = self._known.get(wanted)
        if outcome is None:
            outcome = self._known[wanted] = self._of(wanted)
        return outcome

    @property
    def true(self) -> P:
        return self.when(True)

    @property
    def false(self) -> P:
        return self.when(False)

    @property
    def defined(self) -> P:
        return self.when(None)


@dataclass(frozen=True)
class Algebra(Generic[P]):
    """The propositions that are always and never true, and how propositions are joined. The rest follows."""

    truth: P
    falsity: P
    conj: Callable[..., P]
    disj: Callable[..., P]
    # The outcomes of a condition that depends on nothing unknown. They are compared by identity.
    always: KnownOutcome[P] = field(init=False)
    never: KnownOutcome[P] = field(init=False)
    errs: KnownOutcome[P] = field(init=False)

    def __post_init__(self) -> None:
        yes, no = self.truth, self.falsity
        for name, known in (
            ("always", KnownOutcome(yes, no, yes)),
            ("never", KnownOutcome(no, yes, yes)),
            ("errs", KnownOutcome(no, no, no)),
        ):
            object.__setattr__(self, name, known)

    def choice(self, test: Outcome[P], then: Outcome[P], otherwise: Outcome[P]) -> Outcome[P]:
        """`if`: the outcome of one of the two, by the outcome of the test."""
        if test is self.always or test is self.never:
            return then if test is self.always else otherwise
        if test is self.errs:
            return test
        conj, disj = self.conj, self.disj
        return LazyOutcome(
            lambda wanted: disj(conj(test.true, then.when(wanted)), conj(test.false, otherwise.when(wanted)))
        )  # fmt: skip

    def negation(self, of: Outcome[P]) -> Outcome[P]:
        if of is self.always or of is self.never:
            return self.never if of is self.always else self.always
        return of if of is self.errs else LazyOutcome(lambda wanted: of.when(wanted if wanted is None else not wanted))

    def both(self, outcomes: Sequence[Outcome[P]]) -> Outcome[P]:
        """`and`: from left to right, up to the first that is false."""
        items = [item for item in outcomes if item is not self.always]
        if len(items) < 2:
            return items[0] if items else self.always
        if items[0] is self.never or items[0] is self.errs:
            return items[0]
        if len(items) > CHUNK:
            length = max(CHUNK, -(-len(items) // CHUNK))
            parts = [items[start : start + length] for start in range(0, len(items), length)]
            return self.both([self.both(part) for part in parts])
        conj, disj = self.conj, self.disj

        def when(wanted: WantedTruth) -> P:
            if wanted:
                return conj(*(item.true for item in items))
            # For false, or for a value: an earlier item is false, or all earlier ones have a value and the last is as
            # wanted.
            *others, last = items
            whole = last.when(wanted)
            for item in reversed(others):
                whole = disj(item.false, conj(item.defined, whole))
            return whole

        return LazyOutcome(when)

    def either(self, outcomes: Sequence[Outcome[P]]) -> Outcome[P]:
        """`or`: from left to right, up to the first that is true."""
        if len(outcomes) == 1:
            return outcomes[0]
        return self.negation(self.both([self.negation(item) for item in outcomes]))
