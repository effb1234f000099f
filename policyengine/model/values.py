"""Values at run time, and the guard that every value from outside passes before a rule sees it.

| type             | from a request (plain JSON values)            | inside the engine            |
|------------------|-----------------------------------------------|------------------------------|
| Bool             | bool                                          | bool                         |
| Int              | int within 64 bits, never a bool or a float   | int                          |
| Number           | int or finite float, never a bool             | int or float                 |
| String           | str, also of a subclass such as a StrEnum     | str                          |
| Time             | RFC 3339 text with an offset                  | datetime in UTC, or FineTime |
| Duration         | text such as "15m"                            | timedelta, or FineLength     |
| Ip               | IPv4 or IPv6 text                             | IPv4Address or IPv6Address   |
| Set<T>, List<T>  | list (in process also tuple, set, frozenset)  | tuple of guarded elements    |
| record           | dict                                          | dict, fields guarded on read |
| entity           | dict with text `type` and `id`                | Entity                       |
| Json             | anything above as it is                       | as it is                     |

Nothing is ever converted to fit: a value of another shape is a Fault.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from math import isfinite
from typing import Any, NamedTuple, assert_never

from policyengine.diagnostics import codes
from policyengine.model.fine_time import fine_time
from policyengine.model.types import (
    BOOL,
    DURATION,
    INT,
    IP,
    JSON,
    NUMBER,
    STRING,
    TIME,
    EntityT,
    ListT,
    Prim,
    RecordT,
    RefinedT,
    SetT,
    Type,
)

INT_MIN, INT_MAX = -(2**63), 2**63 - 1
# Below this every integer is a double, and no larger integer is rounded to a double below this.
DOUBLE_INTS = 2**53
# The largest finite double; a JSON number beyond it is not a Number.
NUMBER_MAX = int(1.7976931348623157e308)
MAX_DEPTH = 64


class Fault(Exception):
    """An operation that has no value. `code` names the kind (a POL5xx code); the message shows no request value."""

    def __init__(self, code: str, message: str) -> None:
        # Exception itself keeps the arguments and shows the message.
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return self.message


_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


class Uid(NamedTuple):
    """The identity of an entity."""

    type: str
    id: str

    def __str__(self) -> str:
        quoted = self.type if _WORD.fullmatch(self.type) else f'"{self.type}"'
        return f'{quoted}::"{self.id}"'


@dataclass(frozen=True, slots=True)
class Entity:
    """An entity as it occurs in a request: its identity, and the attributes that came with it. Equal by identity."""

    uid: Uid
    attributes: Mapping[str, Any] = field(default_factory=dict, compare=False)


class Mention:
    """An entity within another value, merged with everything else that the request says of it: never part of what a
    caller sends. `sent` is the original value. It is read like an object."""

    __slots__ = ("entity", "sent")

    def __init__(self, entity: Entity, sent: Mapping[str, Any]) -> None:
        self.entity = entity
        self.sent = sent

    def __getitem__(self, name: str) -> Any:
        return self.entity.attributes[name]


def sent(value: Any) -> Any:
    """The value as a caller sent it."""
    return value.sent if type(value) is Mention else value


class Differing:
    """Replaces an attribute of which one request says different things."""

    __slots__ = ()


DIFFERING = Differing()


def guard(value: Any, type_: Type) -> Any:
    """The value as the engine uses it, if it has the type. Raises Fault otherwise."""
    if type(value) is Differing:
        raise Fault(codes.CONTRADICTION.id, "the request says different things of one entity")
    match type_:
        case Prim():
            return _guard_primitive(value, type_)
        case SetT(element):
            # A set may come from Python code as a tuple or set; over the wire it is always a list.
            if type(value) not in (list, tuple, set, frozenset):
                raise wrong_type(type_, value)
            return tuple(guard(item, element) for item in value)
        case ListT(element):
            if type(value) not in (list, tuple):
                raise wrong_type(type_, value)
            return tuple(guard(item, element) for item in value)
        case RecordT():
            if type(value) is not dict:
                raise wrong_type(type_, value)
            return value
        case EntityT(names):
            entity = as_entity(value)
            if entity.uid.type not in names:
                raise Fault(codes.WRONG_VALUE.id, f"expected {type_}, found an entity of another type")
            return entity
        case RefinedT(base=base):
            return guard(value, base)
        case _:
            assert_never(type_)


def is_text(value: Any) -> bool:
    """Whether a value is a text, of `str` or a subclass. Its own claim about its class (`__class__`) is ignored."""
    return issubclass(type(value), str)


def plain_text(value: Any) -> str:
    """The plain text of a value of `str` or of a subclass, regardless of the subclass's methods."""
    return value if type(value) is str else str.__str__(value)


def as_entity(value: Any) -> Entity:
    """An entity from `{"type": ..., "id": ..., ...attributes}`. Raises Fault if it has no textual type and id."""
    if type(value) is dict:
        type_, id_ = value.get("type"), value.get("id")
        if type(type_) is str and type(id_) is str:
            return Entity(Uid(type_, id_), value)
        if is_text(type_) and is_text(id_):
            # An identity is made of plain texts, whatever subclass they came as.
            return Entity(Uid(plain_text(type_), plain_text(id_)), value)
    if type(value) is Mention:
        return value.entity
    raise Fault(codes.MALFORMED.id, "an entity is an object with a textual `type` and `id`")


def wrong_type(expected: Type | str, value: Any) -> Fault:
    return Fault(codes.WRONG_VALUE.id, f"expected {expected}, found {describe(value)}")


_SHAPES = {
    bool: "a boolean", int: "an integer", float: "a number", str: "a string", type(None): "null",
    list: "an array", tuple: "an array", set: "an array", frozenset: "an array", dict: "an object",
}  # fmt: skip
_NO_JSON = "a value that is not JSON"
_WRONG = codes.WRONG_VALUE.id


def describe(value: Any) -> str:
    """The type of a value in the words of JSON, without the value."""
    return _SHAPES.get(type(value), _NO_JSON)


def _guard_primitive(value: Any, type_: Prim) -> Any:
    # Compared by name, which is fast: very many rules may ask this about one attribute.
    name = type_.name
    if name == JSON.name:
        return value
    if name == STRING.name and is_text(value):
        return plain_text(value)
    if name == BOOL.name and type(value) is bool:
        return value
    if name == INT.name and type(value) is int:
        if INT_MIN <= value <= INT_MAX:
            return value
        raise Fault(codes.OVERFLOW.id, "an integer does not fit in 64 bits")
    if name == NUMBER.name and type(value) in (int, float):
        return finite(value)
    if name == TIME.name and type(value) is str:
        return parse_time(value)
    if name == DURATION.name and type(value) is str:
        return parse_duration(value)
    if name == IP.name and type(value) is str:
        return parse_ip(value)
    raise Fault(_WRONG, f"expected {name}, found {_SHAPES.get(type(value), _NO_JSON)}")


def finite(value: int | float) -> int | float:
    """The number itself. Raises Fault if it is not finite or is beyond the largest double."""
    if isfinite(value) if type(value) is float else -NUMBER_MAX <= value <= NUMBER_MAX:
        return value
    raise Fault(codes.OVERFLOW.id, "a number is not finite")


_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})", re.ASCII)
_DURATION = re.compile(r"(\d{1,12})(ms|s|m|h|d|w)", re.ASCII)
DURATION_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}


def parse_time(text: str) -> datetime:
    """An RFC 3339 time (section 5.6) with an offset, to the nanosecond. Raises Fault for anything else."""
    matched = _TIME.fullmatch(text)
    if matched:
        # Python reads six digits, and would cut off the others.
        fraction = matched[1] or ""
        plain, finer = text.replace(fraction, fraction[:7], 1), fraction[7:].ljust(3, "0") if len(fraction) > 7 else "0"
        try:
            return fine_time(datetime.fromisoformat(plain.upper()).astimezone(UTC), int(finer))
        except (ValueError, OverflowError):
            pass
    raise Fault(codes.UNREADABLE_VALUE.id, "a time is RFC 3339 text with an offset, such as 2026-01-31T12:00:00Z")


def parse_duration(text: str) -> timedelta:
    """A whole number and a unit: ms, s, m, h, d or w. Raises Fault for anything else."""
    matched = _DURATION.fullmatch(text)
    if matched:
        try:
            return int(matched[1]) * DURATION_UNITS[matched[2]]
        except OverflowError:
            pass
    raise Fault(codes.UNREADABLE_VALUE.id, "a duration is a whole number and one of ms, s, m, h, d, w")


def parse_ip(text: str) -> IPv4Address | IPv6Address:
    """An IP address without zone. An IPv4 address written as IPv6 (`::ffff:10.0.0.1`, RFC 4291 2.5.5.2) is that
    IPv4 address, so that it cannot be used to step around a rule. Raises Fault for anything else."""
    try:
        address = ip_address(text)
    except ValueError:
        raise Fault(codes.UNREADABLE_VALUE.id, "not an IPv4 or IPv6 address") from None
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            raise Fault(codes.UNREADABLE_VALUE.id, "an IP address must not have a zone")
        return address.ipv4_mapped or address
    return address


def to_json(value: Any) -> Any:
    """A value from inside the engine as a plain JSON value, in the form in which a request would carry it."""
    match value:
        case Entity(uid=uid) | Mention(entity=Entity(uid=uid)):
            return {"type": uid.type, "id": uid.id}
        case tuple():
            return [to_json(item) for item in value]
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case timedelta():
            return duration_text(value)
        case IPv4Address() | IPv6Address():
            return str(value)
    return value


def json_default(value: Any) -> Any:
    """For `default` of `json`: as `to_json`, and also for collections that JSON does not have. Raises TypeError for
    anything that is not a value of the engine."""
    if isinstance(value, set | frozenset):
        return sorted(value, key=repr)
    if isinstance(value, Mapping):
        return dict(value)
    made = to_json(value)
    if made is value:
        raise TypeError(f"not a value of the engine: {type(value).__name__}")
    return made


def duration_text(value: timedelta) -> str:
    """The shortest text of a duration: `15m`, not `900s`."""
    for unit in ("w", "d", "h", "m", "s"):
        if value and not value % DURATION_UNITS[unit]:
            return f"{value // DURATION_UNITS[unit]}{unit}"
    return f"{value // DURATION_UNITS['ms']}ms"
