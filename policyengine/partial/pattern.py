"""A formula that was put together for one caller, as a way to put together those of others.

How atoms are put together and made smaller depends on their kinds and on what they are about, and on their values only
where two are about the same. Where nothing of that kind happened, the formula of another caller, for whom all tests
have the same results and all leaves are atoms of the same kinds, is the same but for these atoms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from policyengine.partial.formula import (
    All,
    Atom,
    Formula,
    Holds,
    Missing,
    OneOf,
    Present,
    Relation,
    Some,
    Truth,
    Typed,
)
from policyengine.partial.logic import Trace, union

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


def pattern(whole: Formula, parts: Iterable[Formula], leaves: Sequence[Formula], trace: Trace) -> Pattern | None:
    """The pattern of a formula that was put together from the parts, in which the leaves occur; None if it has none."""
    numbers = {id(leaf): number for number, leaf in enumerate(leaves) if not isinstance(leaf, Truth)}
    atoms = {id(atom): atom for formula in (*parts, *leaves) for atom in _atoms(formula)}
    alike: dict[object, list[Formula]] = {}
    for atom in atoms.values():
        alike.setdefault(getattr(atom, "path", None), []).append(atom)
    for leaf in leaves:
        if not isinstance(leaf, Typed | Present | Missing) and any(
            leaf == other and leaf is not other for other in alike.get(getattr(leaf, "path", None), ())
        ):
            return None
    made: dict[int, Pattern] = {id_: _leaf(number) for id_, number in numbers.items()}
    for id_, (_, united) in trace.united.items():
        found = _united(united, made)
        if found is not None:
            made[id_] = found
    if any(id(atom) in made for atom in trace.compared):
        return None
    return _filled(whole, made) or (lambda _: whole)


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


def _atoms(formula: Formula) -> Iterator[Atom]:
    if isinstance(formula, All | Some):
        for item in formula.items:
            yield from _atoms(item)
    elif not isinstance(formula, Truth):
        yield formula


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
