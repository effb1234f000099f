"""A formula that was put together for one caller, as a way to put together those of others.

How atoms are put together and made smaller depends on their kinds and on what they are about, and on their values only
where two are about the same. The trace says where that was so: there a caller with other values gets another formula.
Where nothing of that kind happened, the formula of another caller, for whom all tests have the same results and all
leaves are atoms of the same kinds, is the same but for these atoms. Whoever makes a pattern then tries it on `another`
caller, whom no value could have given away, so that it does not rest on the trace alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from policyengine.model.values import Entity, Uid
from policyengine.partial.formula import All, Formula, Holds, Missing, OneOf, Present, Relation, Some, Truth, Typed
from policyengine.partial.logic import Trace, union

# Leaves that are the same for all callers for whom they are of this kind.
_OF_NO_VALUE = (Truth, Typed, Present, Missing)
# From the formulas of the leaves, in order, to the whole.
Pattern = Callable[[Sequence[Formula]], Formula]


def sort(formula: Formula) -> Any:
    """What of the formula of a leaf decides how it is put together with others."""
    match formula:
        case Relation(op=op):
            return op
        case Holds(kind=kind):
            return kind
        case OneOf(negated=negated):
            return negated
        case Truth(value=value):
            return (value,)
    return formula.__class__


def pattern(whole: Formula, leaves: Sequence[Formula], trace: Trace) -> Pattern | None:
    """The pattern of a formula in which the leaves occur, and which was put together as traced; None if it has none."""
    made: dict[int, Pattern] = {
        id(leaf): _leaf(number) for number, leaf in enumerate(leaves) if not isinstance(leaf, _OF_NO_VALUE)
    }
    for id_, (_, united) in trace.united.items():
        found = _united(united, made)
        if found is not None:
            made[id_] = found
    if any(id(atom) in made for atom in trace.compared):
        return None
    if not all(_equal_for_all(one, other, made, trace) for one, other in trace.equal):
        return None
    return _filled(whole, made) or (lambda _: whole)


def another(formula: Formula, number: int) -> Formula | None:
    """The formula of the leaf with this number for a caller whose values are like no other; None if no such value is to
    be had."""
    match formula:
        case Relation(value=value):
            other = _unlike(value, (number, 0))
            return None if other is None else replace(formula, value=other)
        case OneOf(values=values) | Holds(values=values):
            others = tuple(_unlike(value, (number, place)) for place, value in enumerate(values))
            return None if None in others else replace(formula, values=others)
    return formula if isinstance(formula, _OF_NO_VALUE) else None


def _unlike(value: Any, number: tuple[int, int]) -> Any:
    """A value of the same type that nobody would think of."""
    match value:
        case bool():
            return None
        case str():
            return f"{value}\0{number}"
        case int() | float():
            return hash((value, *number)) % 2**50 + 0.5 * isinstance(value, float)
        case Entity(uid=uid):
            return Entity(Uid(uid.type, f"{uid.id}\0{number}"))
    return None


def _equal_for_all(one: Any, other: Any, made: Mapping[int, Pattern], trace: Trace) -> bool:
    """Whether two formulas that are equal for one caller are equal for all."""
    if one is other:
        return True
    if isinstance(one, All | Some):
        pairs = zip(one.items, other.items, strict=True)
        return all(_equal_for_all(a, b, made, trace) for a, b in pairs)
    if id(one) not in made and id(other) not in made:
        return True
    # The same alternatives, put together twice.
    alternatives = [trace.united.get(id(each), (each, ()))[1] for each in (one, other)]
    return len(alternatives[0]) > 0 and list(map(id, alternatives[0])) == list(map(id, alternatives[1]))


def _leaf(number: int) -> Pattern:
    return lambda leaves: leaves[number]


def _united(atoms: Sequence[Formula], made: Mapping[int, Pattern]) -> Pattern | None:
    """The pattern of what atoms became as alternatives, or None for what is the same for all."""
    if not any(id(atom) in made for atom in atoms):
        return None
    makers = [made.get(id(atom)) or _same(atom) for atom in atoms]

    def fill(leaves: Sequence[Formula]) -> Formula:
        whole = union([make(leaves) for make in makers])
        assert whole is not None
        return whole

    return fill


def _same(formula: Formula) -> Pattern:
    return lambda _: formula


def _filled(formula: Formula, made: Mapping[int, Pattern]) -> Pattern | None:
    """The pattern, or None for what is the same for all."""
    if not isinstance(formula, All | Some):
        return made.get(id(formula))
    items = list(formula.items)
    found = [(place, _filled(item, made)) for place, item in enumerate(items)]
    holes = [(place, make) for place, make in found if make is not None]
    if not holes:
        return None
    kind = formula.__class__

    def fill(leaves: Sequence[Formula]) -> Formula:
        filled = items.copy()
        for place, make in holes:
            filled[place] = make(leaves)
        return kind(tuple(filled))

    return fill
