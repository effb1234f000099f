"""Readers for the members of a JSON body. All raise Malformed, with a message that names the member."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from policyengine.authzen.errors import Malformed

LONGEST = 256


def text_in(value: Mapping[str, Any], name: str) -> str | None:
    text = value.get(name)
    if text is not None and (type(text) is not str or not 0 < len(text) <= LONGEST):
        raise Malformed(f"`{name}` must be a text of at most {LONGEST} characters")
    return text


def number_in(value: Mapping[str, Any], name: str) -> float:
    number = value.get(name)
    if type(number) not in (int, float):
        raise Malformed(f"`{name}` must be a number")
    return number  # type: ignore[return-value]


def object_in(value: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A copy; empty if there is none."""
    member = value.get(name, {})
    if type(member) is not dict:
        raise Malformed(f"`{name}` must be an object")
    return dict(member)


def objects_in(value: Mapping[str, Any], name: str) -> list[dict[str, Any]] | None:
    members = value.get(name)
    if members is not None and (type(members) is not list or not all(type(member) is dict for member in members)):
        raise Malformed(f"`{name}` must be a list of objects")
    return members


def names_in(value: Mapping[str, Any], name: str) -> list[str]:
    """Empty if there are none."""
    names = value.get(name, [])
    if type(names) is not list or not all(type(name) is str for name in names):
        raise Malformed(f"`{name}` must be a list of names")
    return names
