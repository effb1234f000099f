"""Request files: JSON to the arguments of `Engine.decide`.

A request is `{"principal", "action", "resource", "context"}` with flat entities, or what is sent over HTTP, told by its
`subject`. Anything that is no request ends the command with a message; it is never turned into a deny.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from policyengine.cli.console import fail
from policyengine.cli.loading import existing_file, read_json
from policyengine.diagnostics.suggest import did_you_mean
from policyengine.model.request import request
from policyengine.model.values import Fault

RequestOption = Annotated[
    Path,
    typer.Option(
        "--request", "-r", metavar="FILE", help="the request as JSON; - for standard input", show_default=False
    ),
]

_KEYS = ("principal", "action", "resource", "context")
_SHAPE = '{"principal": {"type", "id", ...}, "action": "NAME", "resource": {"type", "id", ...}, "context": {...}}'


def read_request(path: Path) -> dict[str, Any]:
    """The arguments of `Engine.decide`, which will find them well formed."""
    existing_file(path, "--request")
    value = read_json(path, "--request")
    if type(value) is not dict:
        fail("the request is no JSON object", f"a request is {_SHAPE}")
    if "evaluations" in value:
        fail("this is a batch of requests", "ask them one by one, or over HTTP with `policyengine serve`")
    given = _from_authzen(value) if "subject" in value else _native(value)
    for name in ("principal", "action", "resource"):
        if name not in given:
            fail(f"the request has no `{_wire(name, value)}`", f"a request is {_SHAPE}")
    for name in ("principal", "resource"):
        check_entity(given[name], _wire(name, value))
    try:
        request(given["principal"], given["action"], given["resource"], given.get("context"))
    except Fault as fault:
        fail(f"the request: {fault.message}")
    return given


def _native(value: dict[str, Any]) -> dict[str, Any]:
    for name in value:
        if name not in _KEYS:
            fail(f"unknown `{name}` in the request", did_you_mean(name, _KEYS) or f"a request is {_SHAPE}")
    return value


def _wire(name: str, value: dict[str, Any]) -> str:
    return "subject" if name == "principal" and "subject" in value else name


def check_entity(value: Any, name: str) -> None:
    if type(value) is not dict:
        fail(f"`{name}` is no entity", 'an entity is {"type": "...", "id": "...", ...attributes}')
    for key in ("type", "id"):
        if key not in value:
            fail(f"`{name}` has no `{key}`", 'an entity is {"type": "...", "id": "...", ...attributes}')
        if type(value[key]) is not str or not value[key]:
            fail(f"`{key}` of `{name}` must be text that is not empty")


def _from_authzen(value: dict[str, Any]) -> dict[str, Any]:
    """AuthZEN's shape to the engine's, as the service reads it: attributes are in `properties`, where none can pass
    for the identity of an entity or its place in a hierarchy; members that are not known are ignored."""
    found = {name: value[_wire(name, value)] for name in _KEYS if _wire(name, value) in value}
    for name in ("principal", "resource"):
        if type(found.get(name)) is dict:
            found[name] = _flat(found[name], name)
    action = found.get("action")
    if action is not None and (type(action) is not dict or type(action.get("name")) is not str):
        fail("`action` is an object with a textual `name`")
    if action is not None:
        found["action"] = {**_properties(action, "action"), "name": action["name"]}
    if type(found.get("context")) is dict:
        found["context"] = {name: _nested(item, name) for name, item in found["context"].items()}
    elif "context" in found:
        fail("`context` is no JSON object")
    return found


def _flat(entity: dict[str, Any], name: str) -> dict[str, Any]:
    kept: dict[str, Any] = {key: entity[key] for key in ("type", "id", "parents") if key in entity}
    if type(kept.get("parents")) is list:
        kept["parents"] = [_flat(p, "parents") if type(p) is dict else p for p in kept["parents"]]
    attributes = {key: item for key, item in _properties(entity, name).items() if key not in ("type", "id", "parents")}
    return {**attributes, **kept}


def _nested(value: Any, name: str) -> Any:
    """An agent or tenant in AuthZEN's shape is flattened as the subject is, and so are the agents behind it."""
    if type(value) is not dict or not {"type", "id", "properties"} <= value.keys():
        return value
    return {key: _nested(item, key) for key, item in _flat(value, name).items()}


def _properties(value: dict[str, Any], name: str) -> dict[str, Any]:
    properties = value.get("properties", {})
    if type(properties) is not dict:
        fail(f"`properties` of `{name}` is no JSON object")
    return properties
