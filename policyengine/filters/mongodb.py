"""MongoDB query documents, as plain data for `find` and `$match`.

In MongoDB a condition on a field that holds an array is a condition on any of its elements, one on a path goes through
arrays on the way, and `$ne` is true where the field is missing. So each condition here also says of which type the
value is and that it is no array, or that it is an array and what all of its elements are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from policyengine.filters.backend import Fragment
from policyengine.filters.fields import Field, Fields
from policyengine.filters.library import is_text
from policyengine.filters.mongodb_values import (
    LONGEST,
    NOTHING,
    OBJECT,
    OPERATORS,
    TYPES,
    Place,
    Query,
    all_of,
    among,
    entities,
    holds,
    objects,
    of_json,
    ordered,
    quoted,
    same_as,
    sized,
    text_pattern,
    typed_as,
)
from policyengine.model.types import JSON, EntityT, RecordT, SetT, element_of
from policyengine.model.values import Entity
from policyengine.partial.formula import (
    Atom,
    Below,
    Holds,
    Inside,
    Matching,
    Missing,
    OneOf,
    Path,
    Present,
    Relation,
    Sized,
    Typed,
)
from policyengine.partial.formula import Fields as TwoFields


def mongodb(columns: Mapping[str, str | Field] | None = None) -> MongoDB:
    """Filters as MongoDB query documents, for collections without collation (or queries with `{"locale": "simple"}`).

    columns: from attributes to fields; without it every attribute is the field of its name. A name may be a path with
        dots. Documents may hold values of any shape; an entity is an object with `type` and `id`, or a text with
        `ref(name, type)`.

    >>> from policyengine import Engine
    >>> engine = Engine.from_text('''
    ... entity User { teams: Set<String> }
    ... entity Doc { team: String }
    ... action read on Doc for User
    ... permit own: read on Doc when doc.team in principal.teams
    ... ''')
    >>> ann = {"type": "User", "id": "ann", "teams": ["a", "b"]}
    >>> found = engine.filter(principal=ann, action="read", resource_type="Doc")
    >>> found.to(mongodb()).native
    {'team': {'$type': ['string'], '$not': {'$type': 'array'}, '$in': ['a', 'b']}}
    """
    if columns is None:
        return MongoDB(Fields({"*": Field("", json=True)}))
    return MongoDB(Fields(columns, bare_json=True))


@dataclass(frozen=True, slots=True)
class MongoDB:
    """The backend; `mongodb` makes it."""

    fields: Fields

    @property
    def name(self) -> str:
        return "MongoDB"

    def all(self, items: Sequence[Query]) -> Query:
        return all_of(items)

    def some(self, items: Sequence[Query]) -> Query:
        return {"$or": list(items)}

    def nothing(self) -> Query:
        return NOTHING

    def everything(self) -> Query:
        return {}

    def finish(self, native: Query) -> Query:
        return native

    def atom(self, atom: Atom) -> Fragment | None:
        if isinstance(atom, TwoFields):
            return self._two(atom)
        path = ("parents",) if isinstance(atom, Inside) else getattr(atom, "path", None)
        place = self._place(path) if path else None
        if place is None:
            return None
        match atom:
            case Present():
                return Fragment(all_of([*objects(place.around), {place.key: {"$exists": True}}]), place.whole)
            case Missing():
                return Fragment(all_of([*objects(place.own), {place.key: {"$exists": False}}]), place.whole)
            case Inside():
                return self._inside(atom, place)
            case Typed() | Relation() | OneOf() | Holds() | Matching() | Sized() | Below():
                made = self._of_value(atom, place)
                return made and Fragment(all_of([*objects(place.around), made.native]), made.exact)
        return None

    def _place(self, path: Path) -> Place | None:
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
        return Place(paths[-1], tuple(paths[:-1]), own, length == 1, field.refers_to)

    def _of_value(
        self, atom: Typed | Relation | OneOf | Holds | Matching | Sized | Below, place: Place
    ) -> Fragment | None:
        key, type_ = place.key, atom.type
        if type_ == JSON:
            return of_json(atom, key)
        if isinstance(type_, RecordT):
            return Fragment({key: OBJECT}) if isinstance(atom, Typed) else None
        typed = typed_as(place, type_)
        if typed is None:
            return None
        match atom:
            case Typed():
                return Fragment(typed)
            case Relation(op=op, value=value) if element_of(type_) is None:
                if op in ("==", "!="):
                    return among(place, type_, (value,), op == "!=")
                return ordered(typed, key, type_, op, value)
            case Relation(op="==" | "!=" as op, value=tuple() as values):
                return same_as(place, type_, typed, values, op == "!=")
            case OneOf(values=values, negated=negated):
                return among(place, type_, values, negated)
            case Matching(pieces=pieces, negated=negated) if all(map(is_text, pieces)):
                pattern = r"\A(?s:" + ".*".join(map(quoted, pieces)) + r")\z"
                return text_pattern(typed, key, pattern, negated) if len(pattern) <= LONGEST else None
            case Sized():
                return sized(atom, typed, key)
            case Below(closed=closed, negated=negated):
                found = among(place, atom.type, tuple(Entity(uid) for uid in sorted(closed)), negated)
                if found is None or place.refers_to is not None:
                    return found
                # A reference may state parents of its own.
                states = {f"{key}.parents": {"$exists": True}}
                return Fragment(found.native if negated else {"$or": [found.native, states]}, exact=False)
            case Holds():
                return holds(place, type_, typed, atom)
        return None

    def _inside(self, atom: Inside, place: Place) -> Fragment | None:
        if place.refers_to is None:
            return None
        found = Holds(("parents",), SetT(EntityT(frozenset({place.refers_to}))), "any", entities(atom.closed))
        made = self._of_value(found, place)
        if made is None or not atom.negated:
            return made
        typed = typed_as(place, found.type)
        return Fragment({"$or": [{place.key: {"$exists": False}}, all_of([typed or {}, {"$nor": [made.native]}])]})

    def _two(self, atom: TwoFields) -> Fragment | None:
        places = self._place(atom.path), self._place(atom.other)
        conditions: list[Query] = []
        for place, type_ in zip(places, (atom.type, atom.other_type), strict=True):
            typed = typed_as(place, type_) if place is not None and type_ in TYPES else None
            if place is None or typed is None:
                return None
            conditions += [*objects(place.around), typed]
        left, right = (f"${place.key}" for place in places if place is not None)
        return Fragment(all_of([*conditions, {"$expr": {OPERATORS[atom.op]: [left, right]}}]))
