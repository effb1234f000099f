"""Conditions on a hierarchy, where a document can say more about an entity than one attribute holds.

All mentions of an entity count as one: `{"owner": {"type": "User", "id": "bo"}, "author": {"type": "User", "id": "bo",
"parents": [...]}}` states the groups of its owner at another place. A store that holds `author` as JSON also holds such
parents, but a condition asks it only about `owner`. If the mapping leads to such a place, the query is therefore not
exact, and a search of a hierarchy also finds documents that say anything about an entity there. A column of ids says
only which entity it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from policyengine.filters.backend import Backend, Fragment
from policyengine.filters.fields import Fields
from policyengine.model.entities import PARENTS
from policyengine.model.types import EntityT, RecordT, RefinedT, Type
from policyengine.partial.formula import Below, Inside, Path, Present
from policyengine.schema.schema import Schema, mentions

_IDENTITY = frozenset({"type", "id"})


@dataclass(frozen=True, slots=True)
class MentionPlace:
    """Where a document of a type can mention an entity, or `many`. `more` are the names under which such an entity can
    say what it, or another one, is in."""

    path: Path
    many: bool
    more: tuple[str, ...]


def places(schema: Schema, type_: str) -> tuple[MentionPlace, ...]:
    """Every place where a document of the type itself mentions entities."""
    return tuple(place for name, one in schema.places_of(type_) for place in _places((name,), one, schema))


def _places(path: Path, type_: Type, schema: Schema) -> Iterator[MentionPlace]:
    match type_:
        case RefinedT(base=base):
            yield from _places(path, base, schema)
        case RecordT(fields):
            for name, field in fields:
                if mentions(field.type):
                    yield from _places((*path, name), field.type, schema)
        case EntityT(names):
            yield MentionPlace(path, False, tuple(sorted({name for one in names for name, _ in schema.places_of(one)})))
        case _:
            yield MentionPlace(path, True, ())


def hierarchical(
    backend: Backend,
    atom: Below | Inside,
    everywhere: tuple[MentionPlace, ...],
    ask: Callable[[Present], Fragment | None],
    made: Fragment | None,
) -> Fragment | None:
    """The query `made` for an atom, with everything that a document may say elsewhere."""
    own = (PARENTS,) if isinstance(atom, Inside) else atom.path
    elsewhere = [path for place in everywhere if _speaks(backend.fields, place) for path in _more(place, own)]
    if made is None or not elsewhere:
        return made
    if atom.negated:
        return Fragment(made.native, False)
    natives = [made.native]
    for path in elsewhere:
        # An entity there that is in something says so under this name, at any depth.
        condition = None if path[-1] == PARENTS else backend.naming(path, PARENTS)
        condition = condition or ask(Present(path))
        if condition is None:
            return None
        if condition.native not in natives:
            natives.append(condition.native)
    return Fragment(backend.some(natives), False)


def _speaks(fields: Fields, place: MentionPlace) -> bool:
    """Whether the store holds more there than the identity of the entity."""
    field = fields.find(place.path)
    apart = any(len(path) > len(place.path) and path[-1] not in _IDENTITY for path in fields.apart(place.path))
    return apart or (field is not None and field.json and field.refers_to is None)


def _more(place: MentionPlace, own: Path) -> Iterator[Path]:
    """Paths that exist if a document says something at the place that matters. The store already looks at the parents
    of the entity that the atom is about."""
    if place.many:
        if place.path != own:
            yield place.path
        return
    for name in place.more:
        if place.path != own or name != PARENTS:
            yield (*place.path, name)
