"""One walk over atoms: from each kind of atom to a backend's condition for it.

A backend has a method for each kind of condition, and overrides those that its store can express. Nothing is decided
here: the meaning of a condition, and whether it is exact, is up to the backend. `P` is where a store keeps a value.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from policyengine.filters.backend import Fragment
from policyengine.filters.fields import Fields
from policyengine.model.types import JSON, EntityT, Type, element_of
from policyengine.model.values import Entity, Uid
from policyengine.partial.formula import (
    Atom,
    Below,
    Elements,
    Inside,
    Matching,
    Missing,
    OfType,
    OneOf,
    Operator,
    Path,
    Present,
    Relation,
    Sized,
    TwoFields,
)

PARENTS: Path = ("parents",)

P = TypeVar("P")

# Atoms about one value of a type.
OfValue = OfType | Relation | OneOf | Elements | Matching | Sized | Below


class Walk(Protocol[P]):
    """The part of a backend that answers for atoms. An answer is None if the store cannot express the condition."""

    fields: Fields

    def atom(self, atom: Atom) -> Fragment | None:
        match atom:
            case Inside():
                return self.inside(atom)
            case TwoFields():
                return self.two(atom)
            case Present(path=path) | Missing(path=path):
                place = self.find(path, JSON)
                return None if place is None else self.presence(atom, place)
            case OfType() | Relation() | OneOf() | Elements() | Matching() | Sized() | Below():
                place = self.find(atom.path, atom.type)
                return None if place is None else self.value(atom, place)
        return None

    def naming(self, path: Path, name: str) -> Fragment | None:
        return None

    def find(self, path: Path, type_: Type) -> P | None:
        """Where the store keeps a value of this type."""

    def value(self, atom: OfValue, found: P) -> Fragment | None:
        """A condition that applies to several kinds of atoms can be given here; it takes precedence over their kind."""
        return self.of_value(atom, found)

    def of_value(self, atom: OfValue, found: P) -> Fragment | None:
        type_ = atom.type
        match atom:
            case OfType():
                return self.typed(found, type_)
            case Relation(op=op, value=value) if element_of(type_) is None:
                return self.related(found, type_, op, value)
            case Relation(op="==" | "!=" as op, value=tuple() as values):
                return self.equals(found, type_, values, op == "!=")
            case OneOf(values=values, negated=negated):
                return self.among(found, type_, values, negated)
            case Elements():
                return self.elements(found, atom)
            case Matching(pieces=pieces, negated=negated):
                return self.like(found, pieces, negated)
            case Sized():
                return self.sized(found, atom)
            case Below(type=entity, closed=closed, negated=negated):
                return self.under(found, entity, closed, negated)
        return None

    def presence(self, atom: Present | Missing, found: P) -> Fragment | None:
        return None

    def typed(self, found: P, type_: Type) -> Fragment | None:
        return None

    def related(self, found: P, type_: Type, op: Operator, value: Any) -> Fragment | None:
        """Compares a value, which is not a collection of a declared type, with a constant."""
        return None

    def equals(self, found: P, type_: Type, values: tuple[Any, ...], negated: bool) -> Fragment | None:
        """Tests that a set or a list is, or is not, a constant."""
        return None

    def among(self, found: P, type_: Type, values: tuple[Any, ...], negated: bool) -> Fragment | None:
        return None

    def elements(self, found: P, atom: Elements) -> Fragment | None:
        return None

    def like(self, found: P, pieces: tuple[str, ...], negated: bool) -> Fragment | None:
        return None

    def sized(self, found: P, atom: Sized) -> Fragment | None:
        return None

    def under(self, found: P, type_: EntityT, closed: frozenset[Uid], negated: bool) -> Fragment | None:
        """If a reference states no parents of its own, the entity source knows everything below the targets."""
        return self.among(found, type_, entities(closed), negated)

    def two(self, atom: TwoFields) -> Fragment | None:
        return None

    def inside(self, atom: Inside) -> Fragment | None:
        return None


class Connectives(Protocol):
    """How a library or a query language combines conditions, as far as these backends have it in common."""

    @property
    def name(self) -> str: ...

    def both(self, items: Sequence[Any]) -> Any: ...

    def either(self, items: Sequence[Any]) -> Any: ...

    def nothing(self) -> Any: ...

    def everything(self) -> Any: ...


class Worded(Walk[P], Protocol[P]):
    """A backend that combines conditions with the connectives of a library or a query language."""

    @property
    def words(self) -> Connectives: ...

    @property
    def name(self) -> str:
        return self.words.name

    def all(self, items: Sequence[Any]) -> Any:
        return self.words.both(items)

    def some(self, items: Sequence[Any]) -> Any:
        return self.words.either(items)

    def nothing(self) -> Any:
        return self.words.nothing()

    def everything(self) -> Any:
        return self.words.everything()

    def finish(self, native: Any) -> Any:
        return native


def entities(uids: frozenset[Uid]) -> tuple[Entity, ...]:
    """References to these, in a stable order."""
    return tuple(map(Entity, sorted(uids)))
