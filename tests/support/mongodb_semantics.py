"""Which documents a MongoDB query finds, by the MongoDB manual. Written from it, and for what filters use of it.

- "Query an Array", "Query an Array of Embedded Documents": a condition on a field with an array is one on any of its
  elements, and a dotted path goes through the elements of arrays, and by number to one of them.
- `$ne`, `$nin`, `$not`: also true where the field is missing; of an array, if no element is equal.
- `$exists`: true of null. `$type`: of an array, whether it has an element of the type, but `array` is about the field
  itself. `$size`, `$elemMatch`: about an array; `$elemMatch` with operators is about each element.
- "Comparison/Sort Order", type bracketing: `$lt` and its like compare numbers with numbers, by value. NaN equals NaN
  and is not less or greater than anything.
- `$in` with no values is true of nothing. `$expr` compares values of the fields as they are.

Whether operators inside `$elemMatch` look into an element that is an array itself the manual leaves open: `deep` says.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator
from typing import Any

Document = dict[str, Any]
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "$lt": operator.lt, "$lte": operator.le, "$gt": operator.gt, "$gte": operator.ge,
}  # fmt: skip


def finds(query: Document, document: Document, deep: bool) -> bool:
    return all(_clause(name, asked, document, deep) for name, asked in query.items())


def _clause(name: str, asked: Any, document: Document, deep: bool) -> bool:
    match name:
        case "$and":
            assert asked, "an empty $and is an error"
            return all(finds(each, document, deep) for each in asked)
        case "$or":
            assert asked, "an empty $or is an error"
            return any(finds(each, document, deep) for each in asked)
        case "$nor":
            assert asked, "an empty $nor is an error"
            return not any(finds(each, document, deep) for each in asked)
        case "$expr":
            ((op, (left, right)),) = asked.items()
            return _compared(op, _value(left, document), _value(right, document))
    assert not name.startswith("$"), name
    found = list(_reached(document, name.split(".")))
    return _meets(asked if _is_operators(asked) else {"$eq": asked}, found, True, deep)


def _is_operators(asked: Any) -> bool:
    return isinstance(asked, dict) and bool(asked) and next(iter(asked)).startswith("$")


def _reached(value: Any, names: list[str]) -> Iterator[Any]:
    """The values at a path, which may be several where there are arrays on the way."""
    if not names:
        yield value
    elif isinstance(value, dict):
        if names[0] in value:
            yield from _reached(value[names[0]], names[1:])
    elif isinstance(value, list):
        if names[0].isdigit() and int(names[0]) < len(value):
            yield from _reached(value[int(names[0])], names[1:])
        for each in value:
            if isinstance(each, dict):
                yield from _reached(each, names)


def _meets(asked: Document, found: list[Any], into: bool, deep: bool) -> bool:
    """Whether the values at a path meet all of the operators. `into`: and the elements of arrays among them."""
    return all(_operator(name, value, found, into, deep) for name, value in asked.items())


def _operator(name: str, asked: Any, found: list[Any], into: bool, deep: bool) -> bool:
    each = [*found, *(e for v in found if into and isinstance(v, list) for e in v)]
    match name:
        case "$eq":
            return any(_same(v, asked) for v in each)
        case "$ne":
            return not any(_same(v, asked) for v in each)
        case "$in":
            return any(_same(v, a) for v in each for a in asked)
        case "$nin":
            return not any(_same(v, a) for v in each for a in asked)
        case "$lt" | "$lte" | "$gt" | "$gte":
            return any(_number(v) and _number(asked) and _ORDER[name](v, asked) for v in each)
        case "$exists":
            return bool(found) is asked
        case "$type":
            kinds = asked if isinstance(asked, list) else [asked]
            return any("array" in kinds and isinstance(v, list) for v in found) or any(_type(v) in kinds for v in each)
        case "$regex":
            pattern = re.sub(r"\\x\{([0-9a-f]+)\}", lambda m: re.escape(chr(int(m[1], 16))), asked)
            return any(isinstance(v, str) and re.search(pattern.replace(r"\z", r"\Z"), v) for v in each)
        case "$size":
            return any(isinstance(v, list) and len(v) == asked for v in found)
        case "$not":
            return not _meets(asked, found, into, deep)
        case "$elemMatch":
            return any(_element(asked, e, deep) for v in found if isinstance(v, list) for e in v)
    raise AssertionError(name)


def _element(asked: Document, element: Any, deep: bool) -> bool:
    if next(iter(asked)) in ("$and", "$or", "$nor") or not _is_operators(asked):
        # About the fields of an embedded document.
        return isinstance(element, dict) and finds(asked, element, deep)
    return _meets(asked, [element], deep, deep)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _type(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int" if -(2**31) <= value < 2**31 else "long"
    return {float: "double", str: "string", dict: "object", type(None): "null", list: ""}[type(value)]


def _same(left: Any, right: Any) -> bool:
    if _number(left) and _number(right):
        return bool(left == right) or (left != left and right != right)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return list(left) == list(right) and all(_same(left[k], right[k]) for k in left)
    return type(left) is type(right) and bool(left == right)


_MISSING = object()


def _value(name: str, document: Document) -> Any:
    value: Any = document
    for part in name.removeprefix("$").split("."):
        value = value.get(part, _MISSING) if isinstance(value, dict) else _MISSING
    return value


def _compared(op: str, left: Any, right: Any) -> bool:
    """Of two values of one type: filters compare no others so."""
    if op in ("$eq", "$ne"):
        return _same(left, right) is (op == "$eq")
    return _number(left) and _number(right) and _ORDER[op](left, right)
