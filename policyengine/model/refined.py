"""The restrictions of a type that rules do not need in order to read a value: which texts, how many, how large, and,
for the arguments of a declared tool, that there are no others.

`refined` takes a value that already has the plain type. `problems` takes a whole JSON value as a caller sent it, at
every depth. Pure and total; messages show names of arguments, made safe to show, and no values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

from policyengine.diagnostics import codes
from policyengine.model.operators import key, pattern
from policyengine.model.types import (
    BOOL,
    INT,
    JSON,
    NULL,
    NUMBER,
    STRING,
    EntityT,
    ListT,
    Prim,
    RecordT,
    RefinedT,
    SetT,
    Type,
)
from policyengine.model.values import DOUBLE_INTS, MAX_DEPTH, Fault, as_entity, guard

# How much of a name is shown, and how many problems are reported.
MAX_NAME, MAX_PROBLEMS = 80, 5
LimitTest = Callable[[Any, Any], bool]


def refined(value: Any, type_: Type) -> Any:
    """The value, which has the plain type, if it also has the type itself. Raises Fault otherwise."""
    if not is_refined(value, type_):
        raise Fault(codes.WRONG_VALUE.id, f"expected {type_}, found another value")
    return value


def is_refined(value: Any, type_: Type) -> bool:
    """Whether a value of the plain type also has the type itself."""
    match type_:
        case RefinedT():
            return _admits(value, type_)
        case SetT(element) | ListT(element):
            return all(is_refined(item, element) for item in value)
    return True


def _admits(value: Any, type_: RefinedT) -> bool:
    if type_.values is not None and not _among(value, type_.values):
        return False
    if type_.members and not any(fits(value, member) for member in type_.members):
        return False
    return is_refined(value, type_.base) and all(LIMITS[name](value, bound) for name, bound in type_.limits)


def _among(value: Any, values: tuple[Any, ...]) -> bool:
    try:
        wanted = key(value)
    except Fault:
        return False
    return any(key(each) == wanted for each in values)


def fits(value: Any, type_: Type) -> bool:
    """Whether a JSON value has the type, at every depth, and nothing that the type does not declare."""
    return next(problems(value, type_, ""), None) is None


def problems(value: Any, type_: Type, name: str, depth: int = 0) -> Iterator[str]:
    """The problems of a JSON value as one of the type, in words that name the place. `name` is the name of the whole
    value."""
    if depth > MAX_DEPTH:
        yield f"{_shown(name)} is nested too deeply"
        return
    match type_:
        case RecordT():
            yield from _record(value, type_, name, depth)
        case SetT(element) | ListT(element):
            allowed = (list, tuple, set, frozenset) if isinstance(type_, SetT) else (list, tuple)
            if type(value) not in allowed:
                yield f"{_shown(name)} should be {type_}"
                return
            for index, item in enumerate(value):
                yield from problems(item, element, f"{name}.{index}" if name else str(index), depth + 1)
        case RefinedT() if type_.members:
            if not any(next(problems(value, one, name, depth + 1), None) is None for one in type_.members):
                yield f"{_shown(name)} should be {_type_shown(type_)}"
        case RefinedT(base=base):
            problem = next(problems(value, base, name, depth + 1), None)
            if problem is not None:
                yield problem
            elif not _admits(value, type_):
                yield f"{_shown(name)} should be {_type_shown(type_)}"
        case EntityT(names):
            try:
                known = as_entity(value).uid.type in names
            except Fault:
                known = False
            if not known:
                yield f"{_shown(name)} should be {type_}"
        case Prim():
            if not _is_primitive(value, type_):
                yield f"{_shown(name)} should be {type_}"


def _is_primitive(value: Any, type_: Prim) -> bool:
    if type_ == JSON:
        return True
    if type_ == NULL:
        return value is None
    try:
        guard(value, type_)
    except Fault:
        return False
    return True


def _record(value: Any, type_: RecordT, name: str, depth: int) -> Iterator[str]:
    if type(value) is not dict:
        yield f"{_shown(name)} should be an object"
        return
    declared = dict(type_.fields)
    for each, item in value.items():
        if not issubclass(type(each), str):
            yield f"{_shown(name)} has a name that is not text"
            continue
        place = f"{name}.{each}" if name else each
        if each in declared:
            yield from problems(item, declared[each].type, place, depth + 1)
        elif not type_.open:
            yield f"{_shown(place)} is not declared"
    for each, field in declared.items():
        if not field.optional and each not in value:
            yield f"{_shown(f'{name}.{each}' if name else each)} is missing"


def _shown(name: str) -> str:
    """The path of an argument in backticks, in printable ASCII characters and not too long."""
    if not name:
        return "the value"
    text = name if len(name) <= MAX_NAME else name[: MAX_NAME - 3] + "..."
    safe = "".join(c if " " <= c <= "~" and c not in "`\\" else f"\\u{{{ord(c):x}}}" for c in text)
    return f"argument `{safe}`"


def _type_shown(type_: Type) -> str:
    text = str(type_)
    return text if len(text) <= 2 * MAX_NAME else text[: 2 * MAX_NAME - 3] + "..."


# ---- limits ----


def _size(value: Any) -> Any:
    return value if type(value) in (int, float) else len(value)


def _searches(value: Any, text: str) -> bool:
    try:
        return pattern(text).search(value) is not None
    except UnicodeEncodeError:
        return False


def _has_format(value: Any, name: str) -> bool:
    return FORMATS[name](value)


def _is_date(text: str) -> bool:
    try:
        return re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text) is not None and bool(date.fromisoformat(text))
    except ValueError:
        return False


_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]*")
_EMAIL = re.compile(r"[!-?A-~]+@[!-?A-~]+")
FORMATS: dict[str, Callable[[str], bool]] = {
    "date": _is_date,
    "email": lambda text: _EMAIL.fullmatch(text) is not None,
    "uri": lambda text: _URI.fullmatch(text) is not None,
    "uuid": lambda text: _UUID.fullmatch(text) is not None,
}
LIMITS: dict[str, LimitTest] = {
    "min": lambda value, bound: bool(_size(value) >= bound),
    "max": lambda value, bound: bool(_size(value) <= bound),
    "above": lambda value, bound: bool(value > bound),
    "below": lambda value, bound: bool(value < bound),
    "search": _searches,
    "format": _has_format,
}


# ---- fast ----


def test(type_: Type) -> Callable[[Any], bool]:
    """`fits` as a function for one type, made once."""
    if isinstance(type_, RecordT):
        declared = {name: (_classes_of(field.type), test(field.type)) for name, field in type_.fields}
        required = frozenset(name for name, field in type_.fields if not field.optional)
        return _record_test(declared, required, type_.open)
    if isinstance(type_, ListT | SetT):
        element = test(type_.element)
        allowed = (list, tuple) if isinstance(type_, ListT) else (list, tuple, set, frozenset)
        if type_.element == STRING:
            # Most consist of texts, which one test recognizes.
            return lambda value: (
                type(value) in allowed and (_TEXTS.issuperset(map(type, value)) or all(map(element, value)))
            )
        return lambda value: type(value) in allowed and all(map(element, value))
    if isinstance(type_, RefinedT) and not type_.members:
        base = test(type_.base)
        return lambda value: base(value) and _admits(value, type_)
    if type_ == JSON:
        return lambda value: True
    classes = _classes_of(type_)
    return lambda value: _is_plainly(value, classes) or fits(value, type_)


Classes = tuple[type, ...]
# The classes that plainly belong to a type; other values, and large numbers, are left to `fits`.
_PLAIN: dict[Type, Classes] = {STRING: (str,), BOOL: (bool,), INT: (int,), NUMBER: (int, float)}


_TEXTS = frozenset({str})


def _classes_of(type_: Type) -> Classes:
    return _PLAIN.get(type_, ())


def _is_plainly(value: Any, classes: Classes) -> bool:
    cls = type(value)
    return cls in classes and (cls is str or cls is bool or -DOUBLE_INTS <= value <= DOUBLE_INTS)


def _record_test(
    declared: dict[str, tuple[Classes, Callable[[Any], bool]]], required: frozenset[str], open_: bool
) -> Callable[[Any], bool]:
    def holds(value: Any) -> bool:
        if type(value) is not dict or not required <= value.keys():
            return False
        for name, item in value.items():
            known = declared.get(name)
            if known is None:
                if not open_ or type(name) is not str:
                    return False
                continue
            # The same as `_is_plainly`, without a call for each element.
            cls = type(item)
            if cls in known[0] and (cls is str or cls is bool or -DOUBLE_INTS <= item <= DOUBLE_INTS):
                continue
            if not known[1](item):
                return False
        return True

    return holds
