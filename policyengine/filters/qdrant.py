"""Qdrant: a filter as the plain data that its REST API takes, and that `qdrant_client.models.Filter(**native)` takes
too.

A payload is JSON, and Qdrant reads it by its own rules (https://qdrant.tech/documentation/search/filtering/): an array
meets a condition if one of its elements does; missing, null and `[]` are equal for `is_empty` and `values_count`;
numbers are compared as doubles, and an integer index takes 5.0 for 5. So a condition on a key that may hold anything
(`json`) is made exact by excluding arrays, through the path `key[]` that a scalar does not have, or is marked as not
exact. A `column` is a promise: the key is absent or holds a value of the attribute's declared type. An index of the
payload must have that type too, and must not be a `uuid` index, which ignores case.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from policyengine.filters.backend import Fragment, StoreLimits
from policyengine.filters.fields import REST, Field, Fields
from policyengine.filters.numbers import safe_double
from policyengine.filters.qdrant_keys import (
    EVERYTHING,
    NOTHING,
    Condition,
    QdrantPlace,
    among,
    any_of,
    collection,
    either_side,
    equal,
    hierarchy,
    ids_of,
    in_range,
    is_number,
    is_reference,
    is_text,
    matchable,
    matching,
    none_of,
    ordered,
    references,
    sized,
    without,
)
from policyengine.filters.storable_texts import storable
from policyengine.filters.walk import PARENTS, Walk
from policyengine.model.types import BOOL, INT, JSON, NUMBER, STRING, TIME, EntityT, ListT, Prim, Type, element_of
from policyengine.model.values import Uid
from policyengine.partial.formula import Elements, Inside, Missing, Operator, Path, Present, Sized


def qdrant(
    keys: Mapping[str, str | Field] | None = None, *, below: Sequence[str] = (), patterns: bool = True
) -> Qdrant:
    """Qdrant.

    keys: from attributes to payload keys. A text, or `json(...)`, is a key with JSON of any shape; `column(...)` one
        that is absent or holds a value of the attribute's declared type (not Json, not a record), sets and lists as
        arrays; `ref(...)` one that holds the id of an entity, or an array of ids. Without it every attribute is at the
        key of its own name, of any shape, and everything is rechecked, because a payload may then give another type of
        document.
    below: the names of the objects that hold all of these keys, such as `["metadata"]`.
    patterns: whether the server knows `match` with `prefix` and `substring` (Qdrant 1.20); without them fewer
        conditions on text are exact.

    >>> from policyengine import Engine
    >>> from policyengine.filters import column
    >>> engine = Engine.from_text('''
    ... module notes
    ... use ai
    ... permit own: retrieve on Document when document.tenant == principal.tenant
    ... ''')
    >>> ann = {"type": "User", "id": "ann", "tenant": "acme", "roles": []}
    >>> query = engine.filter(principal=ann, action="retrieve", resource_type="Document").to(
    ...     qdrant({"tenant": column("tenant")}, below=["metadata"]))
    >>> query.native, query.exact
    ({'must': [{'key': 'metadata.tenant', 'match': {'value': 'acme'}}]}, True)
    """
    rest = {REST: Field("", json=True)} if keys is None else keys
    if isinstance(below, str):
        raise TypeError("`below` is a list of texts")
    return Qdrant(Fields(rest, bare_json=True), tuple(below), patterns)


@dataclass(frozen=True, slots=True)
class Qdrant(Walk[QdrantPlace]):
    """See `qdrant`."""

    fields: Fields
    below: tuple[str, ...]
    patterns: bool
    name: str = "Qdrant"

    @property
    def limits(self) -> StoreLimits:
        return StoreLimits(40, 20_000)

    def all(self, items: Sequence[Condition]) -> Condition:
        return {"must": list(items)}

    def some(self, items: Sequence[Condition]) -> Condition:
        return {"should": list(items)}

    def nothing(self) -> Condition:
        return NOTHING

    def everything(self) -> Condition:
        return EVERYTHING

    def finish(self, native: Condition) -> Condition:
        return native if native.keys() <= {"must", "should", "must_not"} else {"must": [native]}

    def find(self, path: Path, type_: Type) -> QdrantPlace | None:
        """The place; None for a key that has no notation in Qdrant."""
        field = self.fields.find(path)
        if field is None:
            return None
        names = [*self.below, *([field.name] if field.name else []), *field.path]
        if not all(storable(name) and '"' not in name and "\\" not in name for name in names):
            return None
        key = ".".join(n if n.isidentifier() and n.isascii() else f'"{n}"' for n in names)
        objects = field.refers_to is None and isinstance(element_of(type_) or type_, EntityT)
        return QdrantPlace(key, field.json or objects or type_ == JSON, field)

    def presence(self, atom: Present | Missing, place: QdrantPlace) -> Fragment | None:
        return Fragment({"is_empty": {"key": place.key}}, exact=False) if isinstance(atom, Missing) else None

    def related(self, place: QdrantPlace, type_: Type, op: Operator, value: Any) -> Fragment | None:
        if op == "==":
            return equal(place, type_, value)
        return self._unequal(place, type_, (value,)) if op == "!=" else ordered(place, type_, op, value)

    def among(self, place: QdrantPlace, type_: Type, values: tuple[Any, ...], negated: bool) -> Fragment | None:
        return self._unequal(place, type_, values) if negated else among(place, type_, values)

    def elements(self, place: QdrantPlace, atom: Elements) -> Fragment | None:
        return collection(place, atom)

    def sized(self, place: QdrantPlace, atom: Sized) -> Fragment | None:
        return sized(place, atom.type, atom.op, atom.count)

    def under(self, place: QdrantPlace, type_: EntityT, closed: frozenset[Uid], negated: bool) -> Fragment | None:
        return hierarchy(place, type_, closed, negated)

    def typed(self, place: QdrantPlace, type_: Type) -> Fragment | None:
        if not place.any:
            if isinstance(type_, EntityT) and place.field.refers_to not in type_.names:
                return Fragment(NOTHING)
            # The array may be empty, which equals absent.
            return Fragment(none_of(place.key, ())) if isinstance(type_, Prim | EntityT) else None
        if type_ == STRING and self.patterns:
            return Fragment(place.scalar(is_text))
        if type_ in (INT, NUMBER):
            return Fragment(place.scalar(is_number), exact=type_ == NUMBER)
        if type_ == BOOL:
            return Fragment({"should": [place.scalar(matching(True)), place.scalar(matching(False))]})
        if isinstance(type_, EntityT) and self.patterns:
            return Fragment(is_reference(place, type_))
        return None

    def _unequal(self, place: QdrantPlace, type_: Type, values: tuple[Any, ...]) -> Fragment | None:
        """Tests that the value is of the type and is none of these."""
        if type_ == BOOL and len(values) == 1:
            return equal(place, BOOL, not values[0])
        if type_ == TIME and len(values) == 1:
            return either_side(place, TIME, values[0])
        typed = self.typed(place, type_)
        if typed is None:
            return None
        if type_ == NUMBER or (type_ == INT and place.any):
            # Numbers that cannot be compared exactly are left to the recheck.
            usable = [v for v in values if safe_double(v)]
            excluded = [in_range(place.key, gte=v, lte=v) for v in usable]
            return Fragment(without(typed.native, excluded), typed.exact and len(usable) == len(values))
        if isinstance(type_, EntityT):
            if place.any:
                return Fragment(without(typed.native, references(place.key, values)))
            if place.field.refers_to not in type_.names:
                return typed
            ids = ids_of((v.uid for v in values), place.field.refers_to or "")
            return Fragment(typed.native, exact=False) if ids is None else Fragment(none_of(place.key, ids))
        wanted = matchable(values, type_)
        if wanted is None:
            return None
        return Fragment(without(typed.native, [any_of(place.key, wanted)]) if place.any else none_of(place.key, wanted))

    def like(self, place: QdrantPlace, pieces: tuple[str, ...], negated: bool) -> Fragment | None:
        if not self.patterns or not all(map(storable, pieces)):
            return None
        first, *others = pieces
        asked = [{"key": place.key, "match": {"prefix": first}}]
        asked += [{"key": place.key, "match": {"substring": piece}} for piece in others if piece]
        exact = len(asked) == 1 or (len(asked) == 2 and not first and not others[-1])
        exact = exact and not others[-1]
        if negated:
            text = place.scalar(is_text)
            return Fragment(without(text, [{"must": asked}]) if exact else text, exact)
        arrays = [is_text(f"{place.key}[]")] if place.any else []
        return Fragment(without({"must": asked}, arrays), exact)

    def inside(self, atom: Inside) -> Fragment | None:
        place = self.find(PARENTS, ListT(JSON))
        if place is None or place.field.refers_to is None:
            return None
        ids = ids_of(atom.closed, place.field.refers_to)
        if ids is None:
            return None
        if not atom.negated:
            return Fragment(any_of(place.key, ids))
        # A null where the array of parents belongs is not a list of parents.
        native = {"must_not": [any_of(place.key, ids)]} if ids else EVERYTHING
        return Fragment(native, place.field.null == "absent")
