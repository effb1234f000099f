"""Turns a formula into the query of a store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from policyengine.filters.backend import Backend, Fragment
from policyengine.filters.mention_places import MentionPlace, hierarchical
from policyengine.filters.misspelt_names import Spelling
from policyengine.filters.records import fragment_for
from policyengine.filters.store_limits import atoms, fits, wider
from policyengine.model.types import STRING
from policyengine.partial.formula import (
    FALSE,
    ID,
    All,
    Atom,
    Below,
    Formula,
    Inside,
    Missing,
    OneOf,
    Path,
    Relation,
    Some,
    Sourced,
    Truth,
)

_TYPE: Path = ("type",)


@dataclass(frozen=True, slots=True)
class CompiledFilter:
    """A formula in the terms of a store. `rechecked` are the atoms that the query does not express exactly. `any_type`
    if it may find documents that give another type; `any_name` if it may find documents with refused names."""

    native: Any
    rechecked: tuple[Atom, ...]
    any_type: bool = False
    any_name: bool = False


def compiled(
    formula: Formula,
    backend: Backend,
    type_: str,
    places: tuple[MentionPlace, ...] = (),
    spelling: Spelling | None = None,
) -> CompiledFilter:
    """The formula as a query for documents of a type. `places` are where it mentions entities; `spelling` tells whether
    the names may be unchecked."""
    whole, rechecked = formula, list[Atom]()
    if not fits(formula, backend.limits):
        formula = wider(formula, backend.limits)
        rechecked += atoms(whole)
    items = formula.items if isinstance(formula, All) else (formula,)
    conditions = (_condition(item, backend, places, rechecked) for item in items)
    parts = [part for part in conditions if part is not None]
    any_type = False
    if formula != FALSE and backend.fields.locate(_TYPE) is not None:
        typed = _of_type(backend, type_)
        parts += [] if typed is None else [typed.native]
        any_type = typed is None or not typed.exact
    native = backend.everything() if not parts else parts[0] if len(parts) == 1 else backend.all(parts)
    any_name = formula != FALSE and spelling is not None and spelling(backend.fields)
    return CompiledFilter(backend.finish(native), tuple(rechecked), any_type, any_name)


def _of_type(backend: Backend, type_: str) -> Fragment | None:
    """A document may leave out its type. If it gives one, that is its type."""
    options = [fragment_for(backend, atom) for atom in (Missing(_TYPE), Relation(_TYPE, STRING, "==", type_))]
    made = [fragment for fragment in options if fragment is not None]
    if len(made) < len(options):
        return None
    return Fragment(backend.some([each.native for each in made]), all(each.exact for each in made))


def _condition(formula: Formula, backend: Backend, places: tuple[MentionPlace, ...], rechecked: list[Atom]) -> Any:
    """The condition in the terms of the store; None if it is always true."""
    match formula:
        case Truth():
            return backend.nothing() if formula == FALSE else None
        case All(items=items):
            parts = [p for p in (_condition(item, backend, places, rechecked) for item in items) if p is not None]
            return None if not parts else parts[0] if len(parts) == 1 else backend.all(parts)
        case Some(items=items):
            options = [_condition(item, backend, places, rechecked) for item in items]
            if any(option is None for option in options):
                return None
            return options[0] if len(options) == 1 else backend.some(options)
    if isinstance(formula, Sourced):
        # These documents may or may not be seen: each is decided about when it is rechecked.
        fragment = fragment_for(backend, OneOf(ID, STRING, tuple(sorted(formula.ids))))
        rechecked.append(formula)
        return None if fragment is None else fragment.native
    fragment = fragment_for(backend, formula)
    if isinstance(formula, Below | Inside):
        fragment = hierarchical(backend, formula, places, lambda atom: fragment_for(backend, atom), fragment)
    if fragment is None or not fragment.exact:
        rechecked.append(formula)
    return None if fragment is None else fragment.native
