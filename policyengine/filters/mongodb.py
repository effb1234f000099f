"""MongoDB query documents, as plain data for `find` and `$match`.

In MongoDB a condition on a field that holds an array is a condition on any of its elements, one on a path goes through
arrays on the way, and `$ne` is true if the field is missing. So each condition here also tests the type of the value
and that it is not an array, or that it is an array and what all of its elements are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from policyengine.filters.backend import Fragment, StoreLimits
from policyengine.filters.fields import Field, Fields
from policyengine.filters.mongodb_values import (
    LONGEST,
    NOTHING,
    OBJECT,
    OPERATORS,
    TYPES,
    MongoPlace,
    MongoQuery,
    all_of,
    among,
    elements,
    objects,
    of_json,
    ordered,
    quoted,
    same_as,
    sized,
    text_pattern,
    typed_as,
)
from policyengine.filters.storable_texts import is_text
from policyengine.filters.walk import PARENTS, OfValue, Walk, entities
from policyengine.model.types import JSON, STRING, EntityT, RecordT, SetT, Type
from policyengine.model.values import Uid
from policyengine.partial.formula import Elements, Inside, Missing, OfType, Operator, Path, Present, Sized, TwoFields


def mongodb(columns: Mapping[str, str | Field] | None = None) -> MongoDB:
    """Filters as MongoDB query documents, for collections without collation (or queries with `{"locale": "simple"}`).

    columns: from attributes to fields; without it every attribute is the field of its name, and documents that give
        another `type` are left out. A name may be a path with dots. Documents may hold values of any shape; an entity
        is an object with `type` and `id`, or a text with `ref(name, type)`.

    >>> from policyengine import Engine
    >>> engine = Engine.from_text('''
    ... entity User { teams: Set<String> }
    ... entity Doc { team: String }
    ... action read on Doc for User
    ... permit own: read on Doc when doc.team in principal.teams
    ... ''')
    >>> ann = {"type": "User", "id": "ann", "teams": ["a", "b"]}
    >>> found = engine.filter(principal=ann, action="read", resource_type="Doc")
    >>> found.to(mongodb({"team": "team"}), exact=True).native
    {'team': {'$type': ['string'], '$not': {'$type': 'array'}, '$in': ['a', 'b']}}
    """
    if columns is None:
        return MongoDB(Fields({"*": Field("", json=True)}))
    return MongoDB(Fields(columns, bare_json=True))


@dataclass(frozen=True, slots=True)
class MongoDB(Walk[MongoPlace]):
    """The backend; `mongodb` makes it."""

    fields: Fields

    @property
    def name(self) -> str:
        return "MongoDB"

    @property
    def limits(self) -> StoreLimits:
        return StoreLimits(30, 20_000)

    def all(self, items: Sequence[MongoQuery]) -> MongoQuery:
        return all_of(items)

    def some(self, items: Sequence[MongoQuery]) -> MongoQuery:
        return {"$or": list(items)}

    def nothing(self) -> MongoQuery:
        return NOTHING

    def everything(self) -> MongoQuery:
        return {}

    def finish(self, native: MongoQuery) -> MongoQuery:
        return native

    def find(self, path: Path, type_: Type) -> MongoPlace | None:
        located = self.fields.locate(path)
        if located is None:
            return None
        field, length = located
        names = [*(field.name.split(".") if field.name else ()), *field.path, *path[length:]]
        if not names or not all(is_text(n) and n and not n.startswith("$") and not set(n) & {".", "\0"} for n in names):
            return None
        paths = [".".join(names[:end]) for end in range(1, len(names) + 1)]
        inner = len(path) - length
        own = tuple(paths[:-1][len(paths) - 1 - inner :])
        return MongoPlace(paths[-1], tuple(paths[:-1]), own, length == 1, field.refers_to)

    def presence(self, atom: Present | Missing, place: MongoPlace) -> Fragment | None:
        there = isinstance(atom, Present)
        above = objects(place.around if there else place.own)
        return Fragment(all_of([*above, {place.key: {"$exists": there}}]), place.whole)

    def value(self, atom: OfValue, place: MongoPlace) -> Fragment | None:
        made = self._alone(atom, place)
        return made and Fragment(all_of([*objects(place.around), made.native]), made.exact)

    def _alone(self, atom: OfValue, place: MongoPlace) -> Fragment | None:
        """The atom, if everything around the value is an object."""
        if atom.type == JSON:
            return of_json(atom, place.key)
        if isinstance(atom.type, RecordT):
            return Fragment({place.key: OBJECT}) if isinstance(atom, OfType) else None
        return self.of_value(atom, place)

    def typed(self, place: MongoPlace, type_: Type) -> Fragment | None:
        typed = typed_as(place, type_)
        return None if typed is None else Fragment(typed)

    def related(self, place: MongoPlace, type_: Type, op: Operator, value: Any) -> Fragment | None:
        if op in ("==", "!="):
            return among(place, type_, (value,), op == "!=")
        typed = typed_as(place, type_)
        return None if typed is None else ordered(typed, place.key, type_, op, value)

    def equals(self, place: MongoPlace, type_: Type, values: tuple[Any, ...], negated: bool) -> Fragment | None:
        typed = typed_as(place, type_)
        return None if typed is None else same_as(place, type_, typed, values, negated)

    def among(self, place: MongoPlace, type_: Type, values: tuple[Any, ...], negated: bool) -> Fragment | None:
        return among(place, type_, values, negated)

    def elements(self, place: MongoPlace, atom: Elements) -> Fragment | None:
        typed = typed_as(place, atom.type)
        return None if typed is None else elements(place, atom.type, typed, atom)

    def like(self, place: MongoPlace, pieces: tuple[str, ...], negated: bool) -> Fragment | None:
        typed = typed_as(place, STRING)
        if typed is None or not all(map(is_text, pieces)):
            return None
        pattern = r"\A(?s:" + ".*".join(map(quoted, pieces)) + r")\z"
        return text_pattern(typed, place.key, pattern, negated) if len(pattern) <= LONGEST else None

    def sized(self, place: MongoPlace, atom: Sized) -> Fragment | None:
        typed = typed_as(place, atom.type)
        return None if typed is None else sized(atom, typed, place.key)

    def under(self, place: MongoPlace, type_: EntityT, closed: frozenset[Uid], negated: bool) -> Fragment | None:
        fragment = among(place, type_, entities(closed), negated)
        if fragment is None or place.refers_to is not None:
            return fragment
        # A reference may state parents of its own.
        states = {f"{place.key}.parents": {"$exists": True}}
        return Fragment(fragment.native if negated else {"$or": [fragment.native, states]}, exact=False)

    def inside(self, atom: Inside) -> Fragment | None:
        place = self.find(PARENTS, JSON)
        if place is None or place.refers_to is None:
            return None
        atom_of_parents = Elements(PARENTS, SetT(EntityT(frozenset({place.refers_to}))), "any", entities(atom.closed))
        made = self._alone(atom_of_parents, place)
        if made is None or not atom.negated:
            return made
        typed = typed_as(place, atom_of_parents.type)
        return Fragment({"$or": [{place.key: {"$exists": False}}, all_of([typed or {}, {"$nor": [made.native]}])]})

    def two(self, atom: TwoFields) -> Fragment | None:
        places = self.find(atom.path, atom.type), self.find(atom.other, atom.other_type)
        conditions: list[MongoQuery] = []
        for place, type_ in zip(places, (atom.type, atom.other_type), strict=True):
            typed = typed_as(place, type_) if place is not None and type_ in TYPES else None
            if place is None or typed is None:
                return None
            conditions += [*objects(place.around), typed]
        left, right = (f"${place.key}" for place in places if place is not None)
        return Fragment(all_of([*conditions, {"$expr": {OPERATORS[atom.op]: [left, right]}}]))
