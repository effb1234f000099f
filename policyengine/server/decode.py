"""Bytes to checked request values: strict JSON, AuthZEN's shape, the engine's entities.

In: a request body. Out: the arguments of `Engine.decide`. Raises Malformed for anything that is not a request, with a
message that names the place; never another exception. Unknown members are ignored (AuthZEN 1.0, "JSON Serialization").

An AuthZEN entity `{"type", "id", "properties": {...}}` becomes `{"type", "id", ...properties}`. A property named `type`
or `id` (for an action, `name`) is dropped, so that it cannot pass for the entity's identity. What the entity is in may
be given among the properties or beside `id`, as `"parents": [{"type", "id"}, ...]`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, cast, get_args

from policyengine.model.json_text import parse_json
from policyengine.model.values import Fault
from policyengine.server.errors import Malformed

Sought = Literal["subject", "resource", "action"]
Semantic = Literal["execute_all", "deny_on_first_deny", "permit_on_first_permit"]
SEMANTICS: tuple[Semantic, ...] = get_args(Semantic)


class Arguments(TypedDict):
    """What `Engine.decide` takes, and each item of `Engine.decide_many`."""

    principal: dict[str, Any]
    action: str | dict[str, Any]
    resource: dict[str, Any]
    context: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Batch:
    """The items of an evaluations request, each either a request or the reason why it is none."""

    items: Sequence[Arguments | Malformed]
    semantic: Semantic


@dataclass(frozen=True, slots=True)
class Search:
    """What a search asks for. The entity that is sought has a type and no id; for actions `action` is "".

    `limit` and `token` are None where the request does not name them; `paged` is whether it has a `page` at all.
    """

    sought: Sought
    principal: dict[str, Any]
    action: str | dict[str, Any]
    resource: dict[str, Any]
    context: dict[str, Any]
    paged: bool
    limit: int | None
    token: str | None

    @property
    def question(self) -> list[Any]:
        """All that decides what is found, as plain JSON."""
        return [self.sought, self.principal, self.action, self.resource, self.context]


@dataclass(frozen=True, slots=True)
class FilterRequest:
    """What a filter asks for. `resource` has a type and no id; `backend` is None, or whatever was sent."""

    principal: dict[str, Any]
    action: str | dict[str, Any]
    resource: dict[str, Any]
    context: dict[str, Any]
    backend: Any
    exact: bool
    fulfils: list[str]


# ---- requests ----


def evaluation(value: dict[str, Any]) -> Arguments:
    """The request of the Access Evaluation API."""
    return _arguments(value)


def batch(value: dict[str, Any]) -> Batch | Arguments:
    """The request of the Access Evaluations API; without evaluations it is that of the Access Evaluation API.

    An item that lacks an entity takes the whole top-level one; there is no merging within an entity.
    """
    semantic = _semantic(value)
    items = value.get("evaluations", _NO_ITEMS)
    if type(items) is not list:
        raise Malformed("`evaluations` must be an array")
    if not items:
        return _arguments(value)
    # A default is checked once, even if every item replaces it: the payload as a whole is then malformed.
    defaults = {name: read(value[name]) for name, read in _MEMBERS.items() if name in value}
    return Batch([_item(item, defaults) for item in items], semantic)


def search(value: dict[str, Any], sought: Sought) -> Search:
    """The request of the Subject, Resource or Action Search API. The id of what is sought is ignored."""
    needed = ("subject", "resource") if sought == "action" else ("subject", "action", "resource")
    for name in needed:
        if name not in value:
            raise Malformed(f"`{name}` is required")
    subject, resource = (
        _entity(value[name], name) if name != sought else _sought(value[name], name) for name in ("subject", "resource")
    )
    limit, token = _page(value["page"]) if "page" in value else (None, None)
    return Search(
        sought,
        subject,
        "" if sought == "action" else _action(value["action"]),
        resource,
        _context(value["context"]) if "context" in value else {},
        "page" in value,
        limit,
        token,
    )


def filter_request(value: dict[str, Any]) -> FilterRequest:
    """The request of `/v1/filter`: a resource search, and the store that is to be asked."""
    asked = search({name: item for name, item in value.items() if name != "page"}, "resource")
    exact, fulfils = value.get("exact", False), value.get("fulfils", [])
    if type(exact) is not bool:
        raise Malformed("`exact` must be true or false")
    if type(fulfils) is not list or any(type(each) is not str for each in fulfils):
        raise Malformed("`fulfils` must be an array of strings")
    backend = value.get("backend", _EMPTY)
    if type(backend) is not dict:
        raise Malformed("`backend` must be an object")
    if exact and "backend" not in value:
        raise Malformed("`exact` needs a `backend`")
    return FilterRequest(
        asked.principal,
        asked.action,
        asked.resource,
        asked.context,
        backend if "backend" in value else None,
        exact,
        fulfils,
    )


def _sought(value: Any, place: str) -> dict[str, Any]:
    if type(value) is not dict:
        raise Malformed(f"`{place}` must be an object")
    flat = _entity({**value, "id": "?"}, place)
    del flat["id"]
    return flat


def _page(value: Any) -> tuple[int | None, str | None]:
    if type(value) is not dict:
        raise Malformed("`page` must be an object")
    limit, token = value.get("limit", 0), value.get("token", "-")
    if type(limit) is not int or limit < 0:
        raise Malformed("`page.limit` must be a whole number, at least 0")
    if type(token) is not str or not token:
        raise Malformed("`page.token` must be a non-empty string; an empty one marks the last page")
    if type(value.get("properties", _EMPTY)) is not dict:
        raise Malformed("`page.properties` must be an object")
    return (limit if "limit" in value else None), (token if "token" in value else None)


def _semantic(value: dict[str, Any]) -> Semantic:
    options = value.get("options", _EMPTY)
    if type(options) is not dict:
        raise Malformed("`options` must be an object")
    semantic = options.get("evaluations_semantic", "execute_all")
    if semantic not in SEMANTICS:
        raise Malformed(f"`options.evaluations_semantic` must be one of {', '.join(SEMANTICS)}")
    return cast(Semantic, semantic)


def _arguments(value: dict[str, Any]) -> Arguments:
    try:
        subject, action, resource = value["subject"], value["action"], value["resource"]
    except KeyError as missing:
        raise Malformed(f"`{missing.args[0]}` is required") from None
    return {
        "principal": _subject(subject),
        "action": _action(action),
        "resource": _resource(resource),
        "context": _context(value["context"]) if "context" in value else {},
    }


def _item(item: Any, defaults: dict[str, Any]) -> Arguments | Malformed:
    try:
        if type(item) is not dict:
            raise Malformed("an evaluation must be an object")
        return {
            "principal": _subject(item["subject"]) if "subject" in item else defaults["subject"],
            "action": _action(item["action"]) if "action" in item else defaults["action"],
            "resource": _resource(item["resource"]) if "resource" in item else defaults["resource"],
            "context": _context(item["context"]) if "context" in item else defaults.get("context", {}),
        }
    except Malformed as error:
        return error
    except KeyError as missing:
        return Malformed(f"`{missing.args[0]}` is required, here or at the top level")


# ---- entities ----


def _subject(value: Any) -> dict[str, Any]:
    return _entity(value, "subject")


def _resource(value: Any) -> dict[str, Any]:
    return _entity(value, "resource")


def _entity(value: Any, place: str) -> dict[str, Any]:
    if type(value) is not dict:
        raise Malformed(f"`{place}` must be an object")
    type_, id_ = value.get("type"), value.get("id")
    if type(type_) is not str or not type_:
        raise Malformed(f"`{place}.type` must be a non-empty string")
    if type(id_) is not str or not id_:
        raise Malformed(f"`{place}.id` must be a non-empty string")
    properties = value.get("properties", _EMPTY)
    if type(properties) is not dict:
        raise Malformed(f"`{place}.properties` must be an object")
    flat: dict[str, Any] = {**properties, "type": type_, "id": id_}
    if "parents" in value:
        if "parents" in properties:
            raise Malformed(f"`{place}` has `parents` both beside and in `properties`")
        flat["parents"] = value["parents"]
    if "parents" in flat:
        flat["parents"] = _parents(flat["parents"], place)
    return flat


def _parents(value: Any, place: str) -> list[dict[str, Any]]:
    if type(value) is not list:
        raise Malformed(f"`{place}.parents` must be an array")
    return [_entity(parent, f"{place}.parents[{i}]") for i, parent in enumerate(value)]


def _action(value: Any) -> str | dict[str, Any]:
    if type(value) is not dict:
        raise Malformed("`action` must be an object")
    name = value.get("name")
    if type(name) is not str or not name:
        raise Malformed("`action.name` must be a non-empty string")
    if "properties" not in value:
        return name
    properties = value["properties"]
    if type(properties) is not dict:
        raise Malformed("`action.properties` must be an object")
    return {**properties, "name": name}


def _context(value: Any) -> dict[str, Any]:
    if type(value) is not dict:
        raise Malformed("`context` must be an object")
    if "supported_obligations" in value:
        supported = value["supported_obligations"]
        if type(supported) is not list or any(type(each) is not str for each in supported):
            raise Malformed("`context.supported_obligations` must be an array of strings")
    return context_members(value, "context")


def context_members(value: dict[str, Any], place: str) -> dict[str, Any]:
    """An agent, a tenant, ... in AuthZEN's shape is flattened as the subject is, and so are the agents behind an agent.
    Any other value stays as it is. An entity that is malformed is refused: with its attributes left where no rule finds
    them, a forbid could miss it."""
    found = [name for name, each in value.items() if type(each) is dict]
    if not found:
        return value
    flat = dict(value)
    for name in found:
        flat[name] = _context_value(value[name], f"{place}.{name}")
    return flat


def _context_value(value: dict[str, Any], place: str) -> dict[str, Any]:
    if type(value.get("properties")) is dict and type(value.get("type")) is str and type(value.get("id")) is str:
        if not value.keys() <= _ENTITY_MEMBERS:
            raise Malformed(f"`{place}` has attributes both beside and in `properties`")
        value = _entity(value, place)
    return context_members(value, place)


_MEMBERS = {"subject": _subject, "action": _action, "resource": _resource, "context": _context}
_ENTITY_MEMBERS = {"type", "id", "properties", "parents"}
_NO_ITEMS: list[Any] = []
_EMPTY: dict[str, Any] = {}


# ---- JSON ----


def json_object(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`, read as strictly as `model/json_text.py` reads. Raises Malformed."""
    try:
        value = parse_json(body)
    except Fault as fault:
        raise Malformed(f"in the request body: {fault.message}") from None
    if type(value) is not dict:
        raise Malformed("the request body must be a JSON object")
    return value
