"""Formulas with holes, filled with a caller's values: `fill(lower(p, holes), v)` is `lower(p, v)`.

A skeleton is lowered once for all callers that give the same answers about its holes, and is kept by these answers.
Filling makes a new formula for each caller. It replaces holes by values and changes nothing else, except that atoms of
one value get their smallest form.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from policyengine.ir.nodes import Quantifier
from policyengine.ir.outcomes import LazyOutcome, WantedTruth
from policyengine.model.values import Uid
from policyengine.partial.atoms import elements, one_of, size
from policyengine.partial.formula import (
    All,
    Below,
    Deferred,
    Elements,
    Formula,
    Hole,
    HoleAnswer,
    Inside,
    Matching,
    OneOf,
    Opaque,
    Relation,
    Sized,
    Some,
)
from policyengine.partial.gap import Gap
from policyengine.partial.gap_caller import GapCaller
from policyengine.partial.holes import Holes
from policyengine.partial.logic import conj, disj
from policyengine.partial.lowering import AskHole, Lowering
from policyengine.partial.outcome import MAX_ATOMS, Outcome

# How many combinations of answers are kept for one question; after that they are worked out again.
MAX_BRANCHES = 500

Filler = Callable[[GapCaller], Formula]
T = TypeVar("T")


# ---- filling ----


def fill(skeleton: Formula, caller: GapCaller) -> Formula:
    """The caller's formula."""
    filler = filling(skeleton)
    return skeleton if filler is None else filler(caller)


def filling(skeleton: Any) -> Filler | None:
    """A function that fills the holes of a formula; None if it has none."""
    match skeleton:
        case All(items=items) | Some(items=items):
            return _parts(skeleton.__class__, items)
        case Relation(path=path, type=type_, op=op) if (hole := _hole(skeleton.value)) is not None:
            return lambda caller: Relation(path, type_, op, hole.found(caller)[1])
        case OneOf(path=path, type=type_, values=values, negated=negated) if _has_holes(values):
            return lambda caller: one_of(path, type_, _values(values, caller), negated)
        case Elements(path=path, type=type_, kind=kind, values=values) if _has_holes(values):
            return lambda caller: elements(path, type_, kind, _values(values, caller))
        case Matching(path=path, type=type_, pieces=pieces, negated=negated) if _has_holes(pieces):
            return lambda caller: Matching(path, type_, tuple(_values(pieces, caller)), negated)
        case Sized(path=path, type=type_, op=op) if (hole := _hole(skeleton.count)) is not None:
            return lambda caller: Sized(path, type_, op, hole.found(caller)[1])
        case Below(path=path, type=type_, negated=negated) if (hole := _hole(skeleton.targets)) is not None:
            return lambda caller: Below(path, type_, *_targets(hole, caller), negated)
        case Inside(negated=negated) if (hole := _hole(skeleton.targets)) is not None:
            return lambda caller: Inside(*_targets(hole, caller), negated)
        # What no store can express is evaluated for each entity, with this caller's values.
        case Opaque(expr=expr, wanted=wanted, env=None):
            return lambda caller: Opaque(expr, wanted, caller.env)
        case Deferred(fill=of):
            return of
    return None


def _parts(kind: type[All] | type[Some], items: Sequence[Formula]) -> Filler | None:
    fillings = [(place, item, filling(item)) for place, item in enumerate(items)]
    fillers = [(place, filler) for place, _, filler in fillings if filler is not None]
    if not fillers:
        return None
    # A part that is made for each caller can be any formula, so it may simplify together with the other parts.
    is_open = any(map(_is_open, items))
    join = conj if kind is All else disj
    start = list(items)
    if len(fillers) == len(items) and not is_open:
        every = [filler for _, filler in fillers]
        return lambda caller: kind(tuple([filler(caller) for filler in every]))

    def fill_parts(caller: GapCaller) -> Formula:
        filled = start.copy()
        for place, filler in fillers:
            filled[place] = filler(caller)
        return join(*filled) if is_open else kind(tuple(filled))

    return fill_parts


def _is_open(formula: Any) -> bool:
    if isinstance(formula, All | Some):
        return any(map(_is_open, formula.items))
    return isinstance(formula, Deferred)


def _targets(hole: Hole, caller: GapCaller) -> tuple[frozenset[Uid], frozenset[Uid]]:
    targets: tuple[frozenset[Uid], frozenset[Uid]] = hole.found(caller)[1]
    return targets


def _hole(value: Any) -> Any:
    return value if isinstance(value, Hole) else None


def _has_holes(values: Sequence[Any]) -> bool:
    return any(value.__class__ is Hole for value in values)


def _values(values: Sequence[Any], caller: GapCaller) -> list[Any]:
    filled: list[Any] = []
    for value in values:
        if value.__class__ is not Hole:
            filled.append(value)
        elif value.many:
            filled += value.found(caller)[1]
        else:
            filled.append(value.found(caller)[1])
    return filled


def lowering_for(gap: Gap, caller: GapCaller) -> Lowering:
    """The lowering for what is shared between callers, with this caller's answers."""
    return Lowering(gap, Holes(), lambda hole: hole.found(caller)[0])


# ---- lowering once for the same answers ----


@dataclass(slots=True, eq=False)
class _Fork:
    hole: Hole
    branches: dict[HoleAnswer, Any]


class Lowered(Generic[T]):
    """What is lowered once for all callers that give the same answers. `lower` learns only answers of a caller, and the
    result is found by exactly the answers that it asked for, in order."""

    def __init__(self, lower: Callable[[AskHole], T]) -> None:
        self._lower = lower
        self._root: Any = None
        self._branches = 0

    def of(self, caller: GapCaller) -> T:
        """The result for a caller."""
        node, known = self._root, caller.found
        while node.__class__ is _Fork:
            hole = node.hole
            found = known.get(hole)
            if found is None:
                found = known[hole] = hole.find(caller)
            # An answer chooses the branch, a value never does: callers with the same answers share the result.
            node = node.branches.get(found[0])
        return self._new(lambda hole: hole.found(caller)[0]) if node is None else node

    def answered(self, ask: AskHole) -> T:
        """The result for these answers, as part of something that is lowered from several."""
        node = self._root
        while node.__class__ is _Fork:
            node = node.branches.get(ask(node.hole))
        return self._new(ask) if node is None else node

    def _new(self, ask: AskHole) -> T:
        asked: dict[Hole, HoleAnswer] = {}

        def ask_once(hole: Hole) -> HoleAnswer:
            if hole not in asked:
                asked[hole] = ask(hole)
            return asked[hole]

        made = self._lower(ask_once)
        self._branches += 1
        # Callers with ever new answers must not fill the memory. To start again costs returning callers one lowering.
        if self._root is None or self._branches > MAX_BRANCHES:
            self._root, self._branches = None, 1
        self._root = _with(self._root, list(asked.items()), made)
        return made


def _with(node: Any, asked: list[tuple[Hole, HoleAnswer]], made: Any) -> Any:
    """The tree of answers, with one more branch. What it asks next depends only on the answers before."""
    for hole, answer in reversed(asked):
        made = _Fork(hole, {answer: made})
    if node is None:
        return made
    at, new = node, made
    while new.__class__ is _Fork:
        # Both ask about the same hole here: the answers so far are the same, and lowering knows nothing else.
        (answer,) = new.branches
        if answer not in at.branches:
            at.branches[answer] = new.branches[answer]
            return node
        at, new = at.branches[answer], new.branches[answer]
    # Another thread has added the same branch meanwhile.
    return node


# ---- parts that are made for each caller ----


class Fillable:
    """An outcome with holes."""

    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self._fillers: dict[WantedTruth, tuple[Formula, Filler | None]] = {}

    def of(self, caller: GapCaller) -> Outcome:
        """The caller's outcome."""

        def when(wanted: WantedTruth) -> Formula:
            known = self._fillers.get(wanted)
            if known is None:
                skeleton = self._outcome.when(wanted)
                known = self._fillers[wanted] = (skeleton, filling(skeleton))
            skeleton, filler = known
            return skeleton if filler is None else filler(caller)

        return LazyOutcome(when)


def deferred(
    elements: Hole,
    expr: Quantifier,
    gap: Gap,
    holes: Holes,
    body: Callable[[Lowering], Outcome],
    join: Callable[[list[Outcome]], Outcome],
) -> Outcome:
    """The outcome of the quantifier `expr` over the elements that a caller has in a hole; `body` lowers its body. Each
    element is lowered like a caller's values: by answers of its own."""
    slot = expr.slot
    lowered = Lowered(lambda ask: Fillable(body(Lowering(gap, holes, ask))))

    def part(wanted: WantedTruth) -> Any:
        def filled(caller: GapCaller) -> Formula:
            values = elements.found(caller)[1]
            # Nested quantifiers multiply the size of the result; if it would be too large, it is left to evaluation.
            if caller.spread * len(values) > MAX_ATOMS:
                return Opaque(expr, wanted, caller.env)
            callers = [caller.binding(slot, element, len(values)) for element in values]
            formula = join([lowered.of(each).of(each) for each in callers]).when(wanted)
            return formula if size(formula) <= MAX_ATOMS else Opaque(expr, wanted, caller.env)

        return Deferred(filled)

    return LazyOutcome(part)
