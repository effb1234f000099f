"""What an approval is bound to: who does what for whom, to which thing, with which arguments, in which circumstances.

In: a request. Out: a digest, equal for equal requests and for no others. It is computed from the RFC 8785 form of

    {"tenant", "principal", "agents", "action", "resource", "args", "context", "session"}

Entities count by type and id. Other attributes are read again when the approval is used, and so is the time. Every
member of the context that a policy could read counts. Arguments count exactly, to the last digit.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import rfc8785

from policyengine.diagnostics import codes
from policyengine.evaluate.delegation import actors
from policyengine.model.entities import World
from policyengine.model.request import Request
from policyengine.model.values import Entity, Fault, to_json
from policyengine.schema.schema import Schema
from policyengine.state.canonical import canonical

# Members that have a place of their own (agents, session), or differ with each attempt.
_APART = frozenset({"agent", "session", "time"})
# The types of JSON values that have no parts.
_LEAVES = frozenset({str, bool, int, type(None)})
# The longest text of a request that is shown, in characters.
LARGEST = 64 * 1024
# Numbers beyond this have no canonical form.
_EXACT = 2**53
# A value with more containers than this is left to `scope`.
MOST_CONTAINERS = 64


@dataclass(frozen=True, slots=True)
class ApprovalScope:
    """`digest` is what an approval is bound to. Actors are named by `identity`. `shown` is everything that would run,
    as JSON, for people; `args` and `context` are parts of it, for policies."""

    digest: str
    requester: str
    agents: tuple[str, ...]
    action: str
    resource: tuple[str, str]
    args: Any
    context: Mapping[str, Any]
    shown: str


def scope(request: Request, world: World, schema: Schema, tenant: str, session: str | None) -> ApprovalScope:
    """The scope of a request. Raises Fault if it has none: an integer beyond 2^53, a value that is not JSON, or too
    much of it."""
    agents = tuple(identity(*actor.principal.uid) for actor in actors(request, world, schema)[1:])
    members = {name: request.context[name] for name in bound_members(schema) if name in request.context}
    attributes = request.resource.attributes
    bound: dict[str, Any] = {
        "tenant": tenant,
        "principal": identity(*request.principal.uid),
        "agents": agents,
        "action": {**request.action.attributes, "name": request.action.name},
        "resource": list(request.resource.uid),
        "context": {name: _reference(value) for name, value in members.items()},
    }
    if "args" in attributes:
        bound["args"] = attributes["args"]
    if session is not None:
        bound["session"] = session
    plain = _as_json(bound)
    shown = {
        "principal": _flat(request.principal),
        "action": bound["action"] if request.action.attributes else request.action.name,
        "resource": _flat(request.resource),
        "context": {name: value for name, value in request.context.items() if name != "session"},
    }
    try:
        digest = sha256(canonical(plain)).hexdigest()
        text = json.dumps(_as_json(shown), ensure_ascii=False, allow_nan=False)
    except (rfc8785.CanonicalizationError, ValueError, RecursionError) as error:
        raise Fault(codes.NO_APPROVAL.id, "it has a value without a canonical form") from error
    if len(text) > LARGEST:
        raise Fault(codes.NO_APPROVAL.id, f"it is longer than {LARGEST} characters")
    return ApprovalScope(
        digest, bound["principal"], agents, request.action.name, (request.resource.uid.type, request.resource.uid.id),
        plain.get("args"), plain["context"], text,
    )  # fmt: skip


def has_form(*parts: Any) -> bool:
    """Whether a request with these parts certainly has a scope: they are plain and small. For all others, only `scope`
    can tell."""
    left, containers, todo = LARGEST // 16, MOST_CONTAINERS, list(parts)
    for one in todo:
        kind = type(one)
        left -= 4
        if kind is str:
            left -= len(one)
            if not one.isascii():
                return False
        elif kind is dict or kind is list:
            containers -= 1
            if kind is dict:
                if not all(map(_is_text, one)):
                    return False
                todo.extend(one)
                one = one.values()
            if left < 4 * len(one) or not containers:
                return False
            todo.extend(one)
        elif kind is int or kind is float:
            if not -_EXACT < one < _EXACT:
                return False
        elif one is not None and kind is not bool:
            return False
        if left < 0:
            return False
    return True


def _is_text(name: Any) -> bool:
    return type(name) is str


def bound_members(schema: Schema) -> tuple[str, ...]:
    """The members of a context that count, by name: those that some policy could read, except the time."""
    return tuple(sorted(schema.context.keys() - _APART))


def identity(type_: str, id_: str) -> str:
    """A unique text for an entity."""
    return json.dumps([type_, id_], ensure_ascii=False)


def entity_name(text: str) -> str:
    """An identity in policy syntax: `User::"ann"`."""
    type_, id_ = json.loads(text)
    return f"{type_}::{json.dumps(id_, ensure_ascii=False)}"


def _reference(value: Any) -> Any:
    """An entity reduced to type and id; any other value unchanged."""
    if isinstance(value, Mapping) and isinstance(value.get("type"), str) and isinstance(value.get("id"), str):
        return {"type": value["type"], "id": value["id"]}
    return value


def _flat(entity: Entity) -> dict[str, Any]:
    return {**entity.attributes, "type": entity.uid.type, "id": entity.uid.id}


def _as_json(value: Any) -> Any:
    """The JSON form of other values that a Python caller may pass: sets sorted, tuples as arrays."""
    if type(value) in _LEAVES:
        return value
    if isinstance(value, Mapping):
        return {_name(name): _as_json(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(item) for item in value]
    if isinstance(value, set | frozenset):
        return _in_order(map(_as_json, value))
    return to_json(value)


def _in_order(values: Iterable[Any]) -> list[Any]:
    return sorted(values, key=lambda value: json.dumps(value, sort_keys=True, default=repr))


def _name(name: Any) -> str:
    if not isinstance(name, str):
        raise Fault(codes.NO_APPROVAL.id, "it has a member whose name is not text")
    return name
