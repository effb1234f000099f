"""All texts in a value, at any depth.

A text that somebody filled in counts wherever it is: the undeclared name of an object's member is one as well.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from policyengine.diagnostics import codes
from policyengine.model.types import JSON, RecordT, Type, element_of
from policyengine.model.values import MAX_DEPTH, Entity, Fault, is_text, plain_text, to_json


def texts(value: Any, type_: Type) -> tuple[str, ...]:
    """The texts in a value of the type, in order, including undeclared names of members. For an entity, its id; for a
    time, a duration or an address, its text. Raises Fault for a value that is not JSON or is nested too deeply."""
    texts_read: list[str] = []
    _collect(value, type_, MAX_DEPTH, texts_read)
    return tuple(texts_read)


def _collect(value: Any, type_: Type, depth: int, found: list[str]) -> None:
    if is_text(value):
        found.append(plain_text(value))
        return
    kind = type(value)
    if value is None or kind in (bool, int, float):
        return
    if kind is Entity:
        found.append(value.uid.id)
        return
    if isinstance(value, datetime | timedelta | IPv4Address | IPv6Address):
        # In JSON, these are texts.
        found.append(to_json(value))
        return
    if kind not in (dict, list, tuple, set, frozenset):
        raise Fault(codes.WRONG_VALUE.id, "a value is not JSON")
    if depth == 0:
        raise Fault(codes.NESTED_TOO_DEEP.id, f"a value is nested deeper than {MAX_DEPTH}")
    if kind is not dict:
        # The elements of a Python set have no order.
        items = value if kind in (list, tuple) else sorted(value, key=repr)
        for item in items:
            _collect(item, element_of(type_) or JSON, depth - 1, found)
        return
    declared = dict(type_.fields) if isinstance(type_, RecordT) else {}
    for name, item in value.items():
        field = declared.get(name) if is_text(name) else None
        if field is None:
            _collect(name, JSON, depth - 1, found)
        _collect(item, field.type if field is not None else JSON, depth - 1, found)
