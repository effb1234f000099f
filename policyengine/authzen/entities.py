"""AuthZEN's entity and the engine's.

On the wire attributes are in `properties`, beside `id`, or in both places. The engine's entity is flat:
`{"type", "id", ...attributes}`. A property named `type` or `id` (of an action, `name`) is not read, so that it cannot
replace the identity.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

# An entity in an entity in an entity, no deeper.
MAX_NESTED = 64
IDENTITY = ("type", "id")
_NONE: dict[str, Any] = {}


# ---- reading what has been checked ----


def flat(entity: Mapping[str, Any], identity: Collection[str] = IDENTITY) -> dict[str, Any]:
    """The engine's entity, or its action. `identity` are the names that a property cannot have."""
    properties = entity.get("properties", _NONE)
    made = {name: value for name, value in members(properties).items() if name not in identity}
    made.update(members({name: value for name, value in entity.items() if name != "properties"}))
    if "parents" in made and identity is IDENTITY:
        made["parents"] = [flat(each) for each in (entity if "parents" in entity else properties)["parents"]]
    return made


def flat_action(action: Mapping[str, Any]) -> str | dict[str, Any]:
    """The engine's action: its name alone, if it has no attributes."""
    return action["name"] if len(action) == 1 else flat(action, ("name",))


def members(attributes: dict[str, Any]) -> dict[str, Any]:
    """The attributes, with entities at any depth read; the same dict if there are none."""
    changed = {}
    for name, value in attributes.items():
        if value.__class__ is dict or value.__class__ is list:
            read = nested(value)
            if read is not value:
                changed[name] = read
    return {**attributes, **changed} if changed else attributes


def nested(value: Any) -> Any:
    """The value, with the attributes of every entity beside `id`; itself if that is already so."""
    if value.__class__ is dict:
        if not looks_like_entity(value):
            return members(value)
        # `properties` stays for rules that read it: what looks like an entity may be other data.
        return {**flat(value), "properties": value["properties"]}
    if value.__class__ is list:
        read = [nested(each) for each in value]
        return read if any(new is not old for new, old in zip(read, value, strict=True)) else value
    return value


def looks_like_entity(value: Mapping[str, Any]) -> bool:
    """Whether it has the shape of an entity whose attributes are in `properties`."""
    return (
        value.get("properties").__class__ is dict
        and value.get("type").__class__ is str
        and value.get("id").__class__ is str
    )


# ---- checking ----


def problem(value: Any, place: str, depth: int = 0) -> str:
    """Why a value in properties or the context cannot be read, or an empty text. Every entity in it must be valid."""
    if value.__class__ is list:
        for number, each in enumerate(value):
            if reason := problem(each, f"{place}[{number}]", depth):
                return reason
    elif value.__class__ is dict:
        if not looks_like_entity(value):
            return members_problem(value, place, depth)
        if depth == MAX_NESTED:
            return f"entities are nested deeper than {MAX_NESTED}"
        beside = {name: each for name, each in value.items() if name != "properties"}
        return (
            _entity_problem(value, place)
            or members_problem(value["properties"], f"{place}.properties", depth + 1)
            or members_problem(beside, place, depth + 1)
        )
    return ""


def members_problem(attributes: Mapping[str, Any], place: str, depth: int = 0) -> str:
    """Like `problem`, for the values of attributes; the attributes themselves are not an entity, whatever their
    names."""
    for name, value in attributes.items():
        if (value.__class__ is dict or value.__class__ is list) and (
            reason := problem(value, f"{place}.{shown(name)}" if place else shown(name), depth)
        ):
            return reason
    return ""


def parents_problem(parents: Any, place: str) -> str:
    """Why they are not an array of entities, or an empty text."""
    if parents.__class__ is not list:
        return f"`{place}` must be an array"
    for number, parent in enumerate(parents):
        at = f"{place}[{number}]"
        if parent.__class__ is not dict:
            return f"`{at}` must be an object"
        if parent.get("properties", _NONE).__class__ is not dict:
            return f"`{at}.properties` must be an object"
        if reason := _entity_problem({"properties": _NONE, **parent}, at):
            return reason
    return ""


def _entity_problem(value: Mapping[str, Any], place: str) -> str:
    for name in IDENTITY:
        if value.get(name).__class__ is not str or not value[name]:
            return f"`{place}.{name}` must be a non-empty string"
    properties = value["properties"]
    if name := both_places(properties, value):
        return f"`{place}` has `{shown(name)}` both beside and in `properties`"
    holder = value if "parents" in value else properties
    return parents_problem(holder["parents"], f"{place}.parents") if "parents" in holder else ""


def both_places(properties: Collection[str], beside: Collection[str], identity: Collection[str] = IDENTITY) -> str:
    """A name that is both beside and in `properties`, or an empty text."""
    known = ("properties", *identity)
    return next((name for name in properties if name in beside and name not in known), "")


def shown(name: str) -> str:
    """A name that a caller has chosen, made plain and short for a message."""
    return name if len(name) <= 40 and name.isascii() and name.isprintable() and "`" not in name else "..."
