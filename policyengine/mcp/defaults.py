"""The default mapping of each method of MCP (COAZ-MCP, section "Default Mappings").

A method that has none, and is not passed through, is denied. Those that the binding's table lacks are decided like
others, unless the gateway is strict about it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from policyengine.mcp.cel_expressions import MappingError
from policyengine.mcp.coaz import Token, default

CALL = "tools/call"
# They are not in the table of the binding.
BEYOND = frozenset({"server/discover", "subscriptions/listen", "resources/templates/list", "tasks/update"})
_OF_SERVER: Mapping[str, Mapping[str, Any]] = {
    "initialize": {"protocol_version": "$params.protocolVersion"},
    "server/discover": {"protocol_version": "$params.?_meta[?'io.modelcontextprotocol/protocolVersion']"},
    "tools/list": {},
    "resources/list": {},
    "resources/templates/list": {},
    "prompts/list": {},
    "logging/setLevel": {"level": "$params.level"},
    "tasks/list": {},
}
_OF_ITEM: Mapping[str, tuple[str, str]] = {
    CALL: ("tool", "$params.name"),
    "resources/read": ("resource", "$params.uri"),
    "resources/subscribe": ("resource", "$params.uri"),
    "resources/unsubscribe": ("resource", "$params.uri"),
    "prompts/get": ("prompt", "$params.name"),
    "completion/complete": (
        "$params.ref.type == 'ref/prompt' ? 'prompt' : 'resource'",
        "$params.ref.type == 'ref/prompt' ? params.ref.name : params.ref.uri",
    ),
    "tasks/get": ("task", "$params.taskId"),
    "tasks/result": ("task", "$params.taskId"),
    "tasks/cancel": ("task", "$params.taskId"),
    "tasks/update": ("task", "$params.taskId"),
}


def passes(method: str) -> bool:
    """What proceeds without a decision."""
    return method == "ping" or method.startswith("notifications/")


def is_known(method: str, strict: bool = False) -> bool:
    """Whether a method can be decided."""
    known = method in _OF_SERVER or method in _OF_ITEM or method in BEYOND
    return known and not (strict and method in BEYOND)


def mapping_of(method: str, params: Mapping[str, Any], token: Token) -> dict[str, Any]:
    """The default mapping of a method that is known. Raises MappingError."""
    if method == "subscriptions/listen":
        return _listening(params, token)
    if method in _OF_ITEM:
        type_, id_ = _OF_ITEM[method]
        return default(method, {"type": type_, "id": id_})
    return default(method, _server(token), _OF_SERVER[method])


def _server(token: Token) -> dict[str, str]:
    # A name that begins like an expression is none.
    named = token.audience()
    return {"type": "mcp_server", "id": f"${named}" if named.startswith("$") else named}


def _listening(params: Mapping[str, Any], token: Token) -> dict[str, Any]:
    """Each resource that is listened to, and the server for what is listened to besides."""
    wanted = params.get("notifications")
    named = wanted.get("resourceSubscriptions") if isinstance(wanted, dict) else None
    if not isinstance(named, list | None):
        raise MappingError("`resourceSubscriptions` is not a list")
    count = len(named or ())
    resources = [
        {"type": "resource", "id": f"$params.notifications.resourceSubscriptions[{at}]"} for at in range(count)
    ]
    shared = default("subscriptions/listen", _server(token))["evaluation"]
    entries = [{"resource": one} for one in [_server(token), *resources]]
    return {"evaluations": {"action": shared["action"], "context": shared["context"], "evaluations": entries}}
