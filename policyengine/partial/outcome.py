"""The three outcomes of a condition as formulas: when it is true, when it is false, when it has a value at all.

A condition that errs is neither true nor false, so "false" is not "not true". `and` and `or` stop at the first item
that decides, so what comes after it may err without harm.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from policyengine.ir.nodes import Expr
from policyengine.partial.asking import Asking
from policyengine.partial.atoms import size
from policyengine.partial.formula import FALSE, TRUE, Formula, Opaque
from policyengine.partial.logic import conj, disj
from policyengine.partial.reading import Known, Reading

# Beyond so many atoms evaluation is cheaper than asking.
MAX_ATOMS = 2_000


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


def settled(found: Reading) -> Outcome:
    """The outcome of a condition whose value is known, or is known to be none."""
    if not isinstance(found, Known):
        return ERRS
    return ALWAYS if found.value else NEVER


def opaque(expr: Expr, asking: Asking) -> Outcome:
    true, false, defined = (Opaque(expr, wanted, asking.env) for wanted in (True, False, None))
    return Told(true, false, defined)


class _Choice(Outcome):
    """`if test then ... else ...`."""

    __slots__ = ("_otherwise", "_test", "_then")

    def __init__(self, test: Outcome, then: Outcome, otherwise: Outcome) -> None:
        self._test, self._then, self._otherwise = test, then, otherwise

    @property
    def true(self) -> Formula:
        return self._either(self._then.true, self._otherwise.true)

    @property
    def false(self) -> Formula:
        return self._either(self._then.false, self._otherwise.false)

    @property
    def defined(self) -> Formula:
        return self._either(self._then.defined, self._otherwise.defined)

    def _either(self, then: Formula, otherwise: Formula) -> Formula:
        return disj(conj(self._test.true, then), conj(self._test.false, otherwise))


def choice(test: Outcome, then: Outcome, otherwise: Outcome) -> Outcome:
    """`if`: whichever of the two the test asks for."""
    return _Choice(test, then, otherwise)


class Bounded(Outcome):
    """The outcome of an expression, worked out once; where a formula gets too large, only evaluation can tell."""

    __slots__ = ("_asking", "_defined", "_expr", "_false", "_of", "_true")

    def __init__(self, of: Outcome, expr: Expr, asking: Asking) -> None:
        self._of, self._expr, self._asking = of, expr, asking
        self._true: Formula | None = None
        self._false: Formula | None = None
        self._defined: Formula | None = None

    @property
    def true(self) -> Formula:
        if self._true is None:
            self._true = self._bounded(self._of.true, True)
        return self._true

    @property
    def false(self) -> Formula:
        if self._false is None:
            self._false = self._bounded(self._of.false, False)
        return self._false

    @property
    def defined(self) -> Formula:
        if self._defined is None:
            self._defined = self._bounded(self._of.defined, None)
        return self._defined

    def _bounded(self, formula: Formula, wanted: bool | None) -> Formula:
        return formula if size(formula) <= MAX_ATOMS else Opaque(self._expr, wanted, self._asking.env)


def negation(of: Outcome) -> Outcome:
    if of is ALWAYS or of is NEVER:
        return NEVER if of is ALWAYS else ALWAYS
    return of if of is ERRS else _Not(of)


def both(outcomes: Sequence[Outcome]) -> Outcome:
    """`and`: from left to right, up to the first that is false."""
    items = [item for item in outcomes if item is not ALWAYS]
    if len(items) < 2:
        return items[0] if items else ALWAYS
    return items[0] if items[0] is NEVER or items[0] is ERRS else _Both(items)


class _Both(Outcome):
    """`and`, worked out when it is asked for: of most rules only one of the three matters."""

    __slots__ = ("_items",)

    def __init__(self, items: Sequence[Outcome]) -> None:
        self._items = items

    @property
    def true(self) -> Formula:
        return conj(*(item.true for item in self._items))

    @property
    def false(self) -> Formula:
        *others, last = self._items
        whole = last.false
        for item in reversed(others):
            whole = disj(item.false, conj(item.defined, whole))
        return whole

    @property
    def defined(self) -> Formula:
        *others, last = self._items
        whole = last.defined
        for item in reversed(others):
            whole = disj(item.false, conj(item.defined, whole))
        return whole


class _Not(Outcome):
    __slots__ = ("_of",)

    def __init__(self, of: Outcome) -> None:
        self._of = of

    @property
    def true(self) -> Formula:
        return self._of.false

    @property
    def false(self) -> Formula:
        return self._of.true

    @property
    def defined(self) -> Formula:
        return self._of.defined


def either(outcomes: Sequence[Outcome]) -> Outcome:
    """`or`: from left to right, up to the first that is true."""
    return outcomes[0] if len(outcomes) == 1 else negation(both([negation(item) for item in outcomes]))
