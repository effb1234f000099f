"""Conditions of a Qdrant filter on one key of the payload.

A `QdrantPlace` is a key, and how much is known of its value. A condition on a scalar never holds for an array; only
conditions on collections do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from policyengine.filters.backend import Fragment
from policyengine.filters.fields import Field
from policyengine.filters.numbers import NumberBound, bound, by_length, i64, safe_double
from policyengine.filters.storable_texts import storable
from policyengine.model.fine_time import coarse, is_fine
from policyengine.model.types import BOOL, INT, JSON, NUMBER, STRING, TIME, EntityT, Type, element_of
from policyengine.model.values import Entity, Uid, to_json
from policyengine.partial.formula import Elements, ElementsKind, Operator
from policyengine.partial.satisfies import related

Condition = dict[str, Any]
_LOWEST = -1.7976931348623157e308
_LIMITS = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}
NOTHING: Condition = {"must": [{"has_id": []}]}
EVERYTHING: Condition = {"must": []}


@dataclass(frozen=True, slots=True)
class QdrantPlace:
    """A key of the payload. `any` if it may hold JSON of any shape."""

    key: str
    any: bool
    field: Field

    def scalar(self, asked: Callable[[str], Condition]) -> Condition:
        """A condition on the value itself: if the value may be an array, its elements are excluded."""
        return {"must": [asked(self.key)], "must_not": [asked(f"{self.key}[]")]} if self.any else asked(self.key)


# ---- conditions on one key ----


def matching(value: str | int | bool) -> Callable[[str], Condition]:
    return lambda key: {"key": key, "match": {"value": value}}


def any_of(key: str, values: Sequence[Any]) -> Condition:
    return {"key": key, "match": {"any": list(values)}} if values else NOTHING


def none_of(key: str, values: Sequence[Any]) -> Condition:
    """True of a value that is none of these; absent and null are not values."""
    return {"key": key, "match": {"except": list(values)}} if values else {"must_not": [{"is_empty": {"key": key}}]}


def in_range(key: str, **bounds: Any) -> Condition:
    return {"key": key, "range": bounds}


def is_text(key: str) -> Condition:
    return {"key": key, "match": {"prefix": ""}}


def is_number(key: str) -> Condition:
    return in_range(key, gte=_LOWEST)


def _is_null(key: str) -> Condition:
    return {"is_null": {"key": key}}


def without(native: Condition, excluded: Sequence[Condition]) -> Condition:
    if not excluded:
        return native
    if native.keys() <= {"must", "must_not"}:
        return {"must": native.get("must", []), "must_not": [*native.get("must_not", []), *excluded]}
    return {"must": [native], "must_not": list(excluded)}


def matchable(values: Iterable[Any], type_: Type) -> list[Any] | None:
    """The constants, if `match` can search for all of them: texts, or integers where the values are integers."""
    kept = []
    for value in values:
        if type_ == INT and value.__class__ is float and value.is_integer():
            value = int(value)
        if (type_ == INT and value.__class__ is float) or (type_ == INT and not i64(value)):
            continue  # no Int equals it
        if not ((type_ == STRING and storable(value)) or (type_ == INT and value.__class__ is int)):
            return None
        kept.append(value)
    return kept


# ---- equality and order ----


def equal(place: QdrantPlace, type_: Type, value: Any) -> Fragment | None:
    if place.field.refers_to is not None or type_ in (STRING, INT) or isinstance(type_, EntityT):
        return among(place, type_, (value,))
    if type_ == TIME:
        return _of_time(place, "==", value)
    if type_ == BOOL or (type_ == JSON and value.__class__ is bool):
        return Fragment(place.scalar(matching(value)))
    if type_ in (NUMBER, JSON) and value.__class__ in (int, float):
        if not safe_double(value):
            return ordered(place, NUMBER, "==", value)
        return Fragment(place.scalar(lambda key: in_range(key, gte=value, lte=value)))
    if type_ == JSON and storable(value):
        return Fragment(place.scalar(matching(value)))
    if type_ == JSON and value is None:
        return Fragment(place.scalar(_is_null))
    return None


def among(place: QdrantPlace, type_: Type, values: tuple[Any, ...]) -> Fragment | None:
    refers_to = place.field.refers_to
    if isinstance(type_, EntityT):
        if refers_to is None:
            return Fragment({"should": _unnested(place.key, values)})
        ids = ids_of((v.uid for v in values), refers_to) if refers_to in type_.names else []
        return None if ids is None else Fragment(any_of(place.key, ids))
    wanted = matchable(values, type_)
    if wanted is not None:
        one = matching(wanted[0]) if len(wanted) == 1 else lambda key: any_of(key, wanted)
        return Fragment(place.scalar(one) if wanted else NOTHING, not (type_ == INT and place.any))
    parts = [equal(place, type_, value) for value in values] if type_ not in (STRING, INT) else [None]
    parts_kept = [part for part in parts if part is not None]
    if len(parts_kept) < len(parts):
        return None
    return Fragment({"should": [part.native for part in parts_kept]}, all(part.exact for part in parts_kept))


def ordered(place: QdrantPlace, type_: Type, op: Operator, value: Any) -> Fragment | None:
    if type_ == TIME:
        return _of_time(place, op, value)
    if type_ not in (INT, NUMBER):
        return None
    made: NumberBound | None = bound(op, value, type_ == INT)
    if made is None:
        return None
    exact = made.exact and not (type_ == INT and place.any)
    return Fragment(place.scalar(lambda key: in_range(key, **made.limits)), exact)


def _of_time(place: QdrantPlace, op: Operator, value: Any) -> Fragment:
    """Qdrant keeps the text of a time, and is asked for its microsecond: a time with a part of a microsecond is
    rechecked."""
    micro = to_json(coarse(value))
    if op == "==":
        return Fragment(in_range(place.key, gte=micro, lte=micro), False)
    if op == "<" and is_fine(value):
        op = "<="
    return Fragment(in_range(place.key, **{_LIMITS[">=" if op == ">" else op]: micro}), False)


def sized(place: QdrantPlace, type_: Type, op: Operator, count: int | float) -> Fragment | None:
    """`values_count` counts repeated elements too; absent, null and `[]` have none."""
    distinct = by_length(type_, op, count)
    if distinct is None:
        return None
    if not distinct and op in ("<", "<=", "!="):
        return None
    wide: Operator = op if distinct or op == ">" else ">="
    return Fragment(_counted(place.key, wide, count), distinct and not place.any and not related(op, 0, count, INT))


def _counted(key: str, op: Operator, count: int | float) -> Condition:
    if op == "!=":
        return {"should": [_counted(key, "<", count), _counted(key, ">", count)]}
    if op == "==":
        return {"key": key, "values_count": {"gte": count, "lte": count}}
    return {"key": key, "values_count": {_LIMITS[op]: count}}


def either_side(place: QdrantPlace, type_: Type, value: Any) -> Fragment | None:
    sides = [ordered(place, type_, op, value) for op in ("<", ">")]
    sides_kept = [side for side in sides if side is not None]
    return Fragment({"should": [side.native for side in sides_kept]}, all(side.exact for side in sides_kept))


# ---- entities ----


def collection(place: QdrantPlace, atom: Elements) -> Fragment | None:
    """Absent, null and `[]` are equal, so a negation is weaker than the atom."""
    element = element_of(atom.type) or JSON
    wanted: list[Any] | None = None
    if isinstance(element, EntityT) and place.field.refers_to is not None:
        if place.field.refers_to in element.names:
            wanted = ids_of((v.uid for v in atom.values), place.field.refers_to)
    elif element in (STRING, INT):
        wanted = matchable(atom.values, element)
    if wanted is not None:
        return _holds_matchable(place, atom.kind, wanted, len(wanted) == len(atom.values))
    single = [_element(place.key, element, value) for value in atom.values]
    asked = [condition for condition in single if condition is not None]
    if len(asked) < len(single) or not asked:
        return None
    match atom.kind:
        case "any":
            return Fragment({"should": asked}, not place.any)
        case "none":
            return Fragment({"must_not": asked}, exact=False)
        case "all":
            return Fragment({"must": asked}, not place.any)
        case "lacks":
            return Fragment({"must_not": [{"must": asked}]}, exact=False)
    return None


def _holds_matchable(place: QdrantPlace, kind: ElementsKind, wanted: list[Any], whole: bool) -> Fragment | None:
    """`whole` is false if there were constants that no element can be."""
    key, exact = place.key, not place.any
    every = {"must": [matching(value)(key) for value in wanted]}
    match kind:
        case "any":
            return Fragment(any_of(key, wanted), exact)
        case "none":
            return Fragment({"must_not": [any_of(key, wanted)]}, exact=False)
        case "all":
            return Fragment(every if whole else NOTHING, exact)
        case "lacks":
            return Fragment({"must_not": [every]}, exact=False) if whole else None
        case "only":
            return Fragment({"must_not": [none_of(key, wanted)]}, exact=False)
        case "other":
            return Fragment(none_of(key, wanted), exact)


def _element(key: str, element: Type, value: Any) -> Condition | None:
    """True if an element of an array is the value."""
    if element == NUMBER and safe_double(value):
        return in_range(key, gte=value, lte=value)
    if element == BOOL or (element == JSON and storable(value)):
        return matching(value)(key)
    if isinstance(element, EntityT):
        return {"nested": {"key": key, "filter": references("", (value,))[0]}}
    return None


def ids_of(uids: Iterable[Uid], type_: str) -> list[str] | None:
    """The ids of the entities of this type; None if the store cannot hold one of them."""
    ids = sorted(uid.id for uid in uids if uid.type == type_)
    return ids if all(map(storable, ids)) else None


def references(key: str, values: Iterable[Entity]) -> list[Condition]:
    """Tests for references to one of the entities, one condition for each of their types."""
    under = f"{key}." if key else ""
    by_type: dict[str, list[str]] = {}
    for value in values:
        # No document has a text that the store cannot hold.
        if storable(value.uid.id) and storable(value.uid.type):
            by_type.setdefault(value.uid.type, []).append(value.uid.id)
    return [
        {"must": [matching(type_)(f"{under}type"), any_of(f"{under}id", sorted(ids))]}
        for type_, ids in sorted(by_type.items())
    ] or [NOTHING]


def _unnested(key: str, values: Iterable[Entity]) -> list[Condition]:
    """The same, if `type` and `id` must not be arrays."""
    return [
        without(each, [{"key": f"{part['key']}[]", "match": part["match"]} for part in each["must"] if "key" in part])
        for each in references(key, values)
    ]


def is_reference(place: QdrantPlace, type_: EntityT) -> Condition:
    """Tests that the value is a reference to an entity of the type."""
    types = [name for name in sorted(type_.names) if storable(name)]
    return {
        "must": [any_of(f"{place.key}.type", types), is_text(f"{place.key}.id")],
        "must_not": [any_of(f"{place.key}.type[]", types), is_text(f"{place.key}.id[]")],
    }


def hierarchy(place: QdrantPlace, type_: EntityT, closed: Iterable[Uid], negated: bool) -> Fragment | None:
    """A reference in JSON may state parents of its own, so only ids can be searched for."""
    refers_to = place.field.refers_to
    if refers_to is None:
        return None
    if refers_to not in type_.names:
        return Fragment(NOTHING)
    ids = ids_of(closed, refers_to)
    if ids is None:
        return None
    return Fragment(none_of(place.key, ids) if negated else any_of(place.key, ids))
