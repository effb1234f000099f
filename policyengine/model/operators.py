"""What each operator means, once. Every evaluator calls these or is proved equal to them.

Operands are values as `values.guard` returns them. Every function is total: it returns a value or raises Fault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Any
from urllib.parse import urlsplit

import re2

from policyengine.diagnostics import codes
from policyengine.model import fine_time
from policyengine.model.calendar import WEEKDAYS, is_date
from policyengine.model.fine_time import FineLength, FineTime, is_fine, length, nanoseconds
from policyengine.model.types import INT, SetT, Type
from policyengine.model.values import (
    INT_MAX,
    INT_MIN,
    MAX_DEPTH,
    Entity,
    Fault,
    Mention,
    Uid,
    finite,
    is_text,
    plain_text,
    wrong_type,
)


def key(value: Any, depth: int = MAX_DEPTH) -> Any:
    """A hashable stand-in: two values are equal exactly if their keys are. `1` is `1.0`; `true` is not `1`; a text
    equals only the same text. Raises Fault for a value that is not JSON or is nested too deeply."""
    kind = type(value)
    if kind is str or kind is int:
        return value
    if kind is bool:
        return (bool, value)
    if kind is float:
        return finite(value)
    if value is None:
        return (None,)
    if kind is Entity:
        return (Entity, value.uid)
    if kind is Mention:
        return (Entity, value.entity.uid)
    if depth == 0:
        raise Fault(codes.NESTED_TOO_DEEP.id, f"a value is nested deeper than {MAX_DEPTH}")
    if kind is list or kind is tuple:
        return (list, tuple([key(item, depth - 1) for item in value]))
    if kind is dict:
        return (dict, frozenset([(_name(k), key(v, depth - 1)) for k, v in value.items()]))
    if kind in (datetime, timedelta, IPv4Address, IPv6Address, FineTime, FineLength):
        return (kind, value)
    return _name(value)


def _name(value: Any) -> str:
    if is_text(value):
        return plain_text(value)
    raise Fault(codes.WRONG_VALUE.id, "a value is not JSON")


def equal(left: Any, right: Any, type_: Type) -> bool:
    """Whether two values are the same, as values of `type_`. Sets are equal when they have the same elements."""
    return bool(typed_key(left, type_) == typed_key(right, type_))


def typed_key(value: Any, type_: Type) -> Any:
    if isinstance(type_, SetT):
        return frozenset([typed_key(item, type_.element) for item in value])
    if type(value) in (tuple, list):  # generated code takes lists of scalars as they came
        element = getattr(type_, "element", None)
        if element is not None:
            return tuple([typed_key(item, element) for item in value])
    return key(value)


def contains(collection: Iterable[Any], item: Any, element: Type) -> bool:
    """Whether the item is among the elements, as values of type `element`."""
    return typed_key(item, element) in members(collection, element)


def members(collection: Iterable[Any], element: Type) -> frozenset[Any]:
    """The keys of the elements, for searches among them. Raises Fault if one of them is not JSON."""
    return frozenset([typed_key(each, element) for each in collection])


def is_member(found: frozenset[Any], item: Any, element: Type) -> bool:
    return typed_key(item, element) in found


def contains_any(collection: Iterable[Any], items: Iterable[Any], element: Type) -> bool:
    return not {typed_key(x, element) for x in collection}.isdisjoint([typed_key(x, element) for x in items])


def contains_all(collection: Iterable[Any], items: Iterable[Any], element: Type) -> bool:
    return {typed_key(x, element) for x in collection}.issuperset([typed_key(x, element) for x in items])


def lookup(value: Any, name: str) -> Any:
    """The value in a JSON object under the name. Raises Fault if it has none, or is not an object."""
    if type(value) is not dict:
        raise wrong_type("an object", value)
    if name not in value:
        raise Fault(codes.MISSING.id, "the object has nothing under this name")
    return value[name]


def has_key(value: Any, name: str) -> bool:
    """Whether a JSON object has a value under the name. Raises Fault for anything but an object."""
    if type(value) is not dict:
        raise wrong_type("an object", value)
    return name in value


def size(value: tuple[Any, ...] | str, type_: Type) -> int:
    """The number of elements (of a set: of different elements) or of Unicode code points."""
    return len({typed_key(item, type_.element) for item in value}) if isinstance(type_, SetT) else len(value)


def compare(op: str, left: Any, right: Any) -> bool:
    """Order of two numbers, two times or two durations. Numbers compare by exact value."""
    if op == "<":
        return bool(left < right)
    if op == "<=":
        return bool(left <= right)
    if op == ">":
        return bool(left > right)
    return bool(left >= right)


def arithmetic(op: str, left: Any, right: Any, type_: Type) -> Any:
    """Sum, difference or product. Raises Fault if the result does not fit its type."""
    try:
        if is_fine(left) or is_fine(right):
            return fine_time.arithmetic(op, left, right)
        result = left + right if op == "+" else left - right if op == "-" else left * right
    except OverflowError:
        raise Fault(codes.OVERFLOW.id, "a result is out of range") from None
    return in_range_of(result, type_)


def negate(value: Any, type_: Type) -> Any:
    try:
        return length(-nanoseconds(value)) if is_fine(value) else in_range_of(-value, type_)
    except OverflowError:
        raise Fault(codes.OVERFLOW.id, "a result is out of range") from None


def in_range_of(value: Any, type_: Type) -> Any:
    if type_ == INT and not INT_MIN <= value <= INT_MAX:
        raise Fault(codes.OVERFLOW.id, "a result does not fit in 64 bits")
    return finite(value) if type(value) in (int, float) else value


def uids(found: Entity | Iterable[Entity]) -> frozenset[Uid]:
    """The identity of an entity, or of each of several."""
    return frozenset([found.uid] if isinstance(found, Entity) else [entity.uid for entity in found])


def within(entity: Entity, targets: AbstractSet[Uid], ancestors: Callable[[Entity], frozenset[Uid]]) -> bool:
    """Whether the entity is one of the targets or below one. Raises Fault if its hierarchy is malformed."""
    above = ancestors(entity)
    return entity.uid in targets or not targets.isdisjoint(above)


# ---- text ----


def like(text: str, pieces: tuple[str, ...]) -> bool:
    """Whether the text consists of the pieces in order with anything between them. Linear in the text for each
    piece."""
    if len(pieces) == 1:
        return text == pieces[0]
    first, *middle, last = pieces
    if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
        return False
    at, end = len(first), len(text) - len(last)
    for piece in middle:
        at = text.find(piece, at, end)
        if at < 0:
            return False
        at += len(piece)
    return True


# The most patterns in a bundle (`check/patterns.py`), and twice as many while one bundle replaces another.
MAX_PATTERNS = 10_000


@lru_cache(maxsize=2 * MAX_PATTERNS)
def pattern(text: str) -> Any:
    """A compiled RE2 pattern. `.` matches every character, even line breaks, so that no line break circumvents a rule;
    `(?-s)` in a pattern excludes them again. Raises Fault if RE2 does not accept it."""
    options = re2.Options()
    options.log_errors = False
    options.dot_nl = True
    options.max_mem = 1 << 22
    try:
        return re2.compile(text, options)
    except (re2.error, UnicodeEncodeError):
        raise Fault(codes.BAD_PATTERN.id, "not a pattern that RE2 accepts") from None


def matches(text: str, regex: str) -> bool:
    """Whether the whole text matches the RE2 pattern (linear time)."""
    try:
        return pattern(regex).fullmatch(text) is not None
    except UnicodeEncodeError:
        raise Fault(codes.UNREADABLE_VALUE.id, "text with an unpaired surrogate") from None


def search(text: str, regex: str) -> bool:
    """Whether some part of the text matches the RE2 pattern (linear time)."""
    try:
        return pattern(regex).search(text) is not None
    except UnicodeEncodeError:
        raise Fault(codes.UNREADABLE_VALUE.id, "text with an unpaired surrogate") from None


def contains_text(text: str, part: str) -> bool:
    """Whether the part occurs in the text."""
    return part in text


def email_domain(text: str) -> str:
    """The domain of an e-mail address, in lower case. Raises Fault unless there is exactly one `@` with a plain local
    part before it and a host name after it (the common subset of RFC 5321; no quoted parts, comments, addresses, routes
    (`%`, `!`) or encoded words, and no final dot, which would make two names of one domain)."""
    local, at, domain = text.partition("@")
    plain = local[:2] not in ("", "=?") and not any(c in ' !"%(),:;<>@[\\]' or not c.isprintable() for c in local)
    if not at or not plain or not _is_host(domain) or domain.endswith("."):
        raise Fault(codes.UNREADABLE_VALUE.id, "not an e-mail address")
    return domain.lower()


def url_host(text: str) -> str:
    """The host of an absolute URL, in lower case, without port. Raises Fault for anything that two URL parsers could
    read differently: user names, backslashes, spaces, control characters, hosts that are not ASCII names or
    addresses, numbers that only some readers take for an IPv4 address (`127.1`, `0x7f.1`; WHATWG URL, "ends in a
    number")."""
    host = _url(text).hostname or ""
    if not (_is_ipv6(host) or (_is_ipv4(host) if _ends_in_number(host) else _is_host(host))):
        raise Fault(codes.UNREADABLE_VALUE.id, "not an absolute URL with a plain host")
    return host.lower().removesuffix(".")


def url_scheme(text: str) -> str:
    """The scheme of an absolute URL, in lower case. Raises Fault as `url_host` does."""
    url_host(text)
    return str(_url(text).scheme).lower()


def _url(text: str) -> Any:
    bad = not text.isascii() or any(c in ' \\"<>^`{|}' or not c.isprintable() for c in text)
    try:
        parts = urlsplit(text) if not bad else None
        if parts and parts.scheme and "@" not in parts.netloc and text[len(parts.scheme) :].startswith("://"):
            _ = parts.port
            return parts
    except ValueError:
        pass
    raise Fault(codes.UNREADABLE_VALUE.id, "not an absolute URL with a plain host")


_HOST_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._")


def _is_host(text: str) -> bool:
    labels = text.removesuffix(".").split(".")
    return len(text) <= 253 and all(
        0 < len(label) <= 63 and _HOST_CHARACTERS.issuperset(label) and label[0] != "-" and label[-1] != "-"
        for label in labels
    )


def _ends_in_number(host: str) -> bool:
    last = host.removesuffix(".").rpartition(".")[2]
    return last.isdigit() or last.lower().startswith("0x")


def _is_ipv4(text: str) -> bool:
    try:
        IPv4Address(text)
    except ValueError:
        return False
    return True


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True


def path_under(text: str, folder: str) -> bool:
    """Whether an absolute `/` path is the folder or below it, once `.` and `..` and repeated `/` are resolved. Raises
    Fault for a path that another reader could read differently: relative, with a backslash, NUL, `%` or a `..;`, which
    some servers read as `..`."""
    path = _path(text)
    root = _path(folder)
    return path[: len(root)] == root


def folder(text: str) -> str:
    """A folder as a policy writes it: absolute, with nothing to resolve. Raises Fault for anything else."""
    if text != "/" and "/" + "/".join(_path(text)) != text.removesuffix("/"):
        raise Fault(codes.BAD_CONSTANT.id, "not a plain absolute folder such as /srv/public")
    return text


def canonical(function: str, text: str) -> bool:
    """Whether a function with one spelling for each result can ever return the text."""
    match function:
        case "lower":
            return text == text.lower()
        case "email_domain":
            return text == text.lower() and _is_host(text)
        case "url_host":
            return text == text.lower().removesuffix(".") and (_is_host(text) or _is_ipv6(text))
        case "weekday":
            return text in WEEKDAYS
        case "date":
            return is_date(text)
        case "url_scheme":
            return text == text.lower() and text.replace("+", "").replace("-", "").replace(".", "").isalnum()
    return True


def _path(text: str) -> list[str]:
    if not text.startswith("/") or any(c in "\\%" or not c.isprintable() for c in text):
        raise Fault(codes.UNREADABLE_VALUE.id, "not a plain absolute path")
    parts: list[str] = []
    for part in text.split("/"):
        if part == ".." or part.startswith((".;", "..;")):
            if not parts or part != "..":
                raise Fault(codes.UNREADABLE_VALUE.id, "a path leaves the root, or is no plain one")
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return parts


@lru_cache(maxsize=2 * MAX_PATTERNS)
def network(text: str) -> IPv4Network | IPv6Network:
    """An address range such as `10.0.0.0/8`. Raises Fault for anything else, host bits included."""
    try:
        return ip_network(text)
    except ValueError:
        raise Fault(codes.BAD_CONSTANT.id, "not an address range such as 10.0.0.0/8") from None


# IPv6 addresses that carry an IPv4 address, and its distance from the right: the network delivers to that address. RFC
# 4291 2.5.5 (compatible, mapped), RFC 2765 2.1 (translated), RFC 6052 2.1 (well-known prefix), RFC 8215 (prefix for
# local use), RFC 3056 (6to4).
_MAPPED, _LOCAL = IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b:1::/48")
_CARRIERS: tuple[tuple[IPv6Network, int], ...] = (
    (IPv6Network("::/96"), 0),
    (_MAPPED, 0),
    (IPv6Network("::ffff:0:0:0/96"), 0),
    (IPv6Network("64:ff9b::/96"), 0),
    (_LOCAL, 0),
    (IPv6Network("2002::/16"), 80),
)


def in_range(address: IPv4Address | IPv6Address, range_: str) -> bool:
    """Whether the address is in the range, as the network reads it: an IPv6 address that carries an IPv4 address is in
    the ranges of both, and an IPv4 address in those of its own IPv6 forms. Otherwise addresses of different families
    never match."""
    wanted = network(range_)
    if address in wanted:
        return True
    if isinstance(address, IPv6Address):
        return isinstance(wanted, IPv4Network) and any(four in wanted for four in _carried(address))
    # A mapped address is read as its IPv4 address, so a range of mapped addresses must be too.
    mapped = isinstance(wanted, IPv6Network) and wanted.subnet_of(_MAPPED)
    return mapped and IPv6Address(int(_MAPPED.network_address) | int(address)) in wanted


def _carried(address: IPv6Address) -> list[IPv4Address]:
    bits = int(address)
    # `::` and `::1` carry no IPv4 address.
    if bits < 2:
        return []
    carried = [bits >> shift for prefix, shift in _CARRIERS if address in prefix]
    if address in _LOCAL:
        # RFC 6052 2.2 skips an octet in the middle of an IPv4 address after 48 bits.
        carried.append(bits >> 48 & 0xFFFF0000 | bits >> 40 & 0xFFFF)
    return [IPv4Address(each & 0xFFFFFFFF) for each in carried]
