"""A request: who wants to do what to which thing, under which circumstances.

In: the four values as a caller gives them. Out: a Request, or the Fault that says what is wrong with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from policyengine.diagnostics import codes
from policyengine.model.values import Entity, Fault, as_entity, is_text, plain_text


@dataclass(frozen=True, slots=True)
class Action:
    """The action's name and its attributes (`action.soft`)."""

    name: str
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """`contradicts` if it says different things of one entity: DIFFERING replaces these."""

    principal: Entity
    action: Action
    resource: Entity
    context: Mapping[str, Any]
    contradicts: bool = False

    @property
    def types(self) -> tuple[str, str, str]:
        """The type of the principal, the action and the type of the resource."""
        return self.principal.uid.type, self.action.name, self.resource.uid.type


def request(principal: Any, action: Any, resource: Any, context: Any = None) -> Request:
    """A request from plain values. `action` is a name, or a dict with a `name` and attributes; `context` may be left
    out. Raises Fault if the principal or resource is not an entity, or the action or context has another shape."""
    return Request(as_entity(principal), _action(action), as_entity(resource), _context(context))


def _action(value: Any) -> Action:
    if is_text(value):
        return Action(plain_text(value), {})
    if type(value) is dict and is_text(value.get("name")):
        return Action(plain_text(value["name"]), value)
    raise Fault(codes.MALFORMED.id, "an action is a name, or an object with a textual `name`")


def _context(value: Any) -> Mapping[str, Any]:
    if value is None:
        return {}
    if type(value) is not dict:
        raise Fault(codes.MALFORMED.id, "the context must be an object")
    return value
