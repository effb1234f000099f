"""MongoDB conditions on one value: its type, the constants it equals, its size, its elements."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from policyengine.filters.backend import Fragment
from policyengine.filters.numbers import is_number, of_double, of_integer
from policyengine.filters.storable_texts import is_text
from policyengine.model.types import BOOL, INT, JSON, NUMBER, STRING, EntityT, SetT, Type, element_of
from policyengine.model.values import NUMBER_MAX, Entity, Uid
from policyengine.partial.formula import Elements, OfType, Operator, Relation, Sized

MongoQuery = dict[str, Any]
OPERATORS = {"==": "$eq", "!=": "$ne", "<": "$lt", "<=": "$lte", ">": "$gt", ">=": "$gte"}
TYPES: dict[Type, list[str]] = {
    STRING: ["string"], BOOL: ["bool"], INT: ["int", "long"], NUMBER: ["int", "long", "double"],
}  # fmt: skip
_FINITE = {"$gte": -float(NUMBER_MAX), "$lte": float(NUMBER_MAX)}
_NO_ARRAY = {"$type": "array"}
OBJECT = {"$type": "object", "$not": _NO_ARRAY}
# The most repetitions, and the longest pattern, that PCRE takes.
_MOST_REPEATED, LONGEST = 1_000, 30_000
# An empty `$or` is an error, and an empty query finds everything.
NOTHING: MongoQuery = {"_id": {"$in": []}}


@dataclass(frozen=True, slots=True)
class MongoPlace:
    """A field: its dotted path, the objects on the way to it, and which of these belong to the attribute."""

    key: str
    around: tuple[str, ...]
    own: tuple[str, ...]
    whole: bool
    refers_to: str | None


def typed_as(place: MongoPlace, type_: Type) -> MongoQuery | None:
    key, element = place.key, element_of(type_)
    if element is not None:
        return _array(place, element)
    if isinstance(type_, EntityT):
        if place.refers_to is None:
            return all_of([{key: OBJECT}, *_reference(f"{key}.", type_.names)])
        return _scalar(key, STRING) if place.refers_to in type_.names else NOTHING
    if type_ == NUMBER:
        return all_of([_scalar(key, NUMBER), {key: _FINITE}])
    return _scalar(key, type_) if type_ in TYPES and place.refers_to is None else None


def _scalar(key: str, type_: Type, **operators: Any) -> MongoQuery:
    return {key: {"$type": TYPES[type_], "$not": _NO_ARRAY, **operators}}


def _reference(prefix: str, names: Iterable[str]) -> list[MongoQuery]:
    return [
        {f"{prefix}type": {"$in": sorted(names), "$not": _NO_ARRAY}},
        {f"{prefix}id": {"$type": "string", "$not": _NO_ARRAY}},
    ]


def _array(place: MongoPlace, element: Type) -> MongoQuery | None:
    """Tests that the value is an array, and that all elements are of the type."""
    key = place.key
    conditions: list[MongoQuery] = [{key: {"$type": "array"}}, {key: {"$not": {"$elemMatch": {"$type": "array"}}}}]
    if isinstance(element, EntityT) and place.refers_to is None:
        refs = all_of(_reference("", element.names))
        wrong = [{"$not": {"$type": "object"}}, {"$nor": [refs]}]
    elif isinstance(element, EntityT):
        if place.refers_to not in element.names:
            return None
        wrong = [{"$not": {"$type": "string"}}]
    elif element in TYPES and place.refers_to is None:
        wrong = [{"$not": {"$type": TYPES[element], **(_FINITE if element == NUMBER else {})}}]
    else:
        return None
    return all_of([*conditions, *({key: {"$not": {"$elemMatch": each}}} for each in wrong)])


def of_json(atom: Any, key: str) -> Fragment | None:
    """A value of any shape, compared with a scalar or with no elements."""
    if isinstance(atom, OfType):
        return Fragment({key: {"$exists": True}})
    if not isinstance(atom, Relation) or atom.op not in ("==", "!="):
        return None
    value = atom.value
    if atom.op == "!=":
        # True only if the comparison is possible: the value is not nested too deeply, and contains no number that is
        # not finite.
        return Fragment({key: {"$exists": True}}, exact=False)
    if value is None:
        return Fragment({key: {"$type": "null", "$not": _NO_ARRAY}})
    if value.__class__ in (list, tuple) and not value:
        return Fragment({key: {"$size": 0}})
    type_ = STRING if is_text(value) else BOOL if value.__class__ is bool else NUMBER if is_number(value) else None
    if type_ is None:
        return None
    comparison = _constants(type_, (value,), None)
    return None if comparison is None else Fragment(_scalar(key, type_, **{"$in": comparison}))


def _constants(type_: Type, values: Iterable[Any], refers_to: str | None) -> list[Any] | None:
    """Those of the constants that a value of the type can equal, in MongoDB's form; None if one is of another kind."""
    usable: list[Any] = []
    for value in values:
        if isinstance(type_, EntityT):
            if value.__class__ is not Entity or not is_text(value.uid.id) or not is_text(value.uid.type):
                return None
            if refers_to is None:
                usable.append(value.uid)
            elif value.uid.type == refers_to:
                usable.append(value.uid.id)
        elif type_ == STRING and is_text(value):
            usable.append(str.__str__(value))
        elif type_ == BOOL and value.__class__ is bool:
            usable.append(value)
        elif type_ in (INT, NUMBER) and is_number(value):
            comparison = _number("==", value, type_)
            usable += [] if isinstance(comparison, bool) else [comparison[1]]
        else:
            return None
    return usable


def _number(op: Operator, value: Any, type_: Type) -> tuple[Operator, Any] | bool:
    """MongoDB compares integers and doubles by exact value, but holds no integer beyond 64 bits."""
    whole = of_integer(op, value)
    if type_ == INT or (isinstance(whole, tuple) and whole == (op, value)):
        return whole
    return of_double(op, value)


def among(place: MongoPlace, type_: Type, values: Iterable[Any], negated: bool) -> Fragment | None:
    usable, typed, key = _constants(type_, values, place.refers_to), typed_as(place, type_), place.key
    if usable is None or typed is None:
        return None
    if isinstance(type_, EntityT) and place.refers_to is None:
        same = some_of([all_of([{f"{key}.type": t}, {f"{key}.id": {"$in": ids}}]) for t, ids in _by_type(usable)])
        return Fragment(all_of([typed, {"$nor": [same]} if negated else same]))
    operator = {"$nin" if negated else "$in": usable}
    scalar = STRING if isinstance(type_, EntityT) else type_
    if isinstance(type_, EntityT) and place.refers_to not in type_.names:
        return Fragment(typed)
    made = _scalar(key, scalar, **operator)
    return Fragment(all_of([made, {key: _FINITE}]) if type_ == NUMBER and negated else made)


def ordered(typed: MongoQuery, key: str, type_: Type, op: Operator, value: Any) -> Fragment | None:
    if type_ not in (INT, NUMBER) or not is_number(value):
        return None
    comparison = _number(op, value, type_)
    if isinstance(comparison, bool):
        return Fragment(typed if comparison else NOTHING)
    return Fragment(all_of([typed, {key: {OPERATORS[comparison[0]]: comparison[1]}}]))


def text_pattern(typed: MongoQuery, key: str, pattern: str, negated: bool) -> Fragment:
    matched = {"$regex": pattern}
    return Fragment(all_of([typed, {key: {"$not": matched} if negated else matched}]))


def quoted(text: str) -> str:
    return "".join(c if c.isalnum() or ord(c) > 127 else f"\\x{{{ord(c):x}}}" for c in text)


# ---- arrays ----


def _element(type_: Type, usable: list[Any], refers_to: str | None) -> tuple[MongoQuery, MongoQuery]:
    """The condition for an element that is among the constants, and the one for an element that is not."""
    if isinstance(type_, EntityT) and refers_to is None:
        same = some_of([{"type": t, "id": {"$in": ids}} for t, ids in _by_type(usable)])
        return same, {"$nor": [same]}
    return {"$in": usable}, {"$nin": usable}


def elements(place: MongoPlace, type_: Type, typed: MongoQuery, atom: Elements) -> Fragment | None:
    element = element_of(type_) or JSON
    usable = _constants(element, atom.values, place.refers_to)
    if usable is None:
        return None
    condition = _collected(place.key, element, atom.kind, usable, len(usable) == len(atom.values), place.refers_to)
    return Fragment(all_of([typed, condition]))


def _collected(key: str, element: Type, kind: str, usable: list[Any], every: bool, refers_to: str | None) -> MongoQuery:
    inside, outside = _element(element, usable, refers_to)
    match kind:
        case "any":
            return {key: {"$elemMatch": inside}}
        case "none":
            return {key: {"$not": {"$elemMatch": inside}}}
        case "only":
            return {key: {"$not": {"$elemMatch": outside}}}
        case "other":
            return {key: {"$elemMatch": outside}}
    each = [{key: {"$elemMatch": _element(element, [value], refers_to)[0]}} for value in usable]
    query = all_of(each) if every else NOTHING
    return query if kind == "all" else {"$nor": [query]}


def same_as(
    place: MongoPlace, type_: Type, typed: MongoQuery, values: tuple[Any, ...], negated: bool
) -> Fragment | None:
    element = element_of(type_) or JSON
    usable = _constants(element, values, place.refers_to)
    if usable is None:
        return None
    every = len(usable) == len(values)
    if isinstance(type_, SetT):
        kinds = ("all", "only")
        same = all_of([_collected(place.key, element, kind, usable, every, place.refers_to) for kind in kinds])
    elif element in TYPES and every:
        same = all_of([{place.key: {"$size": len(usable)}}, *({f"{place.key}.{i}": v} for i, v in enumerate(usable))])
    else:
        return None
    return Fragment(all_of([typed, {"$nor": [same]} if negated else same]))


def sized(atom: Sized, typed: MongoQuery, key: str) -> Fragment | None:
    comparison = of_integer(atom.op, atom.count) if is_number(atom.count) else None
    if comparison is None or isinstance(comparison, bool):
        return None if comparison is None else Fragment(typed if comparison else NOTHING)
    op, count = comparison
    low, high = {
        "==": (count, count), "!=": (count, count), "<": (0, count - 1), "<=": (0, count), ">": (count + 1, None),
        ">=": (count, None),
    }[op]  # fmt: skip
    low = max(low, 0)
    if max(low, high or 0) > _MOST_REPEATED or (high is not None and high < low):
        return None
    if atom.type == STRING:
        return text_pattern(typed, key, rf"\A(?s:.{{{low},{'' if high is None else high}}})\z", op == "!=")
    if element_of(atom.type) not in TYPES or (isinstance(atom.type, SetT) and (low, high) not in ((0, 0), (1, None))):
        return None
    between = [{f"{key}.{low - 1}": {"$exists": True}}] if low else []
    between += [] if high is None else [{f"{key}.{high}": {"$exists": False}}]
    query = all_of(between) if between else {}
    return Fragment(all_of([typed, {"$nor": [query]} if op == "!=" else query]))


# ---- queries ----


def objects(keys: Iterable[str]) -> list[MongoQuery]:
    return [{key: OBJECT} for key in keys]


def _by_type(uids: Iterable[Uid]) -> list[tuple[str, list[str]]]:
    by_type: dict[str, list[str]] = {}
    for uid in uids:
        by_type.setdefault(uid.type, []).append(uid.id)
    return sorted(by_type.items())


def all_of(conditions: Sequence[MongoQuery]) -> MongoQuery:
    flat = [part for each in conditions for part in (each["$and"] if list(each) == ["$and"] else [each])]
    return flat[0] if len(flat) == 1 else {"$and": flat} if flat else {}


def some_of(conditions: Sequence[MongoQuery]) -> MongoQuery:
    if not conditions:
        return NOTHING
    return conditions[0] if len(conditions) == 1 else {"$or": list(conditions)}
