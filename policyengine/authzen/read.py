"""Plain JSON values to the arguments of the engine, through the models.

Raises Malformed for what is not a request, and Misspelt for what was probably meant as another request. It raises no
other exception, except RecursionError if a value is nested too deeply for Python.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from policyengine.authzen.engine_arguments import SEMANTICS, Batch, DecideArguments, FilterRequest, Search, Sought
from policyengine.authzen.entities import flat, flat_action, members, shown
from policyengine.authzen.errors import Malformed, Misspelt
from policyengine.authzen.requests import (
    Action,
    ActionSearchRequest,
    EvaluationItem,
    EvaluationRequest,
    EvaluationsRequest,
    ResourceSearchRequest,
    Subject,
    SubjectSearchRequest,
)
from policyengine.authzen.requests import FilterRequest as FilterModel
from policyengine.diagnostics.suggest import slip
from policyengine.model.json_text import parse_json
from policyengine.model.values import Fault
from policyengine.schema.mentions import AGENT

_SEARCHES: Mapping[Sought, type[BaseModel]] = {
    "subject": SubjectSearchRequest,
    "resource": ResourceSearchRequest,
    "action": ActionSearchRequest,
}
_NATIVE = ("principal", "action", "resource", "context")


# ---- requests ----


def json_object(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`, read as strictly as `model/json_text.py` reads."""
    try:
        value = parse_json(body)
    except Fault as fault:
        raise Malformed(f"in the request body: {fault.message}") from None
    if type(value) is not dict:
        raise Malformed("the request body must be a JSON object")
    return value


def evaluation(value: dict[str, Any]) -> DecideArguments:
    """The request of the Access Evaluation API."""
    _check(EvaluationRequest, value)
    return _arguments(value, {})


def batch(value: dict[str, Any]) -> Batch | DecideArguments:
    """The request of the Access Evaluations API; without `evaluations` it is that of the Access Evaluation API.

    An item that lacks an entity takes the whole top-level one; entities are not merged.
    """
    items = value.get("evaluations", [])
    # Each item is checked on its own: a bad one spoils no other. The defaults are checked once, even if every item
    # replaces them: the payload as a whole is then malformed.
    outside = {name: each for name, each in value.items() if name != "evaluations"}
    try:
        _check(EvaluationsRequest, outside if type(items) is list else value)
    except Misspelt as error:
        if type(items) is not list or not items:
            raise
        # With it, every item would say something else than was meant.
        return Batch([error], [0], [0], [0] * len(items), SEMANTICS[0])
    if not items:
        return evaluation(outside)
    defaults = _parts(outside)
    text = repr(outside)
    length, commas = len(text), text.count(",")
    read: list[DecideArguments | Malformed] = []
    sizes: list[int] = []
    elements: list[int] = []
    known: dict[str, int] = {}
    order = []
    for item in items:
        text = repr(item)
        at = known.get(text)
        if at is None:
            at = known[text] = len(read)
            read.append(_item(item, defaults))
            sizes.append(len(text) + length)
            elements.append(text.count(",") + commas + 1)
        order.append(at)
    semantic = value.get("options", {}).get("evaluations_semantic", SEMANTICS[0])
    return Batch(read, sizes, elements, order, semantic)


def search(value: dict[str, Any], sought: Sought) -> Search:
    """The request of the Subject, Resource or Action Search API. The id of what is sought is ignored."""
    _check(_SEARCHES[sought], value)
    parts = _parts(_without_id(value, sought))
    page = value.get("page", {})
    return Search(
        sought,
        parts["principal"],
        "" if sought == "action" else parts["action"],
        parts["resource"],
        parts.get("context", {}),
        "page" in value,
        page.get("limit"),
        page.get("token"),
        [sought, *(_without_id(value, sought).get(name) for name in ("subject", "action", "resource", "context"))],
    )


def filter_request(value: dict[str, Any]) -> FilterRequest:
    """The request of `/v1/filter`: a resource search, and the store that the query is for."""
    _check(FilterModel, value)
    parts = _parts(_without_id(value, "resource"))
    return FilterRequest(
        parts["principal"],
        parts["action"],
        parts["resource"],
        parts.get("context", {}),
        value.get("backend"),
        value.get("exact", False),
        value.get("fulfils", []),
        value.get("explain", False),
    )


def request_file(value: Any) -> DecideArguments:
    """A request as people write it into a file: AuthZEN's, or one with `principal`, whose action may be a text. Its
    entities are read in the same way."""
    if type(value) is not dict:
        raise Malformed("the request must be a JSON object")
    if "evaluations" in value:
        raise Malformed("this is a batch of requests, and one request is expected here")
    if "subject" in value:
        return evaluation(value)
    for name in value:
        if name not in _NATIVE:
            raise Misspelt(f"unknown `{shown(name)}` in the request{_meant(slip(name, _NATIVE))}")
    action = value.get("action")
    same = {("subject" if name == "principal" else name): each for name, each in value.items()}
    try:
        return evaluation({**same, "action": {"name": action}} if type(action) is str else same)
    except Malformed as error:
        raise type(error)(error.message.replace("`subject", "`principal")) from None


def entity(value: Any) -> dict[str, Any]:
    """One entity, with attributes in either place."""
    if type(value) is not dict:
        raise Malformed("an entity must be an object")
    _check(Subject, value)
    return flat(value)


def context(value: Any) -> dict[str, Any]:
    """The circumstances on their own."""
    if type(value) is not dict:
        raise Malformed("`context` must be an object")
    _check(EvaluationItem, {"context": value})
    return members(value)


# ---- from the wire to the engine ----


def _arguments(value: dict[str, Any], defaults: Mapping[str, Any]) -> DecideArguments:
    parts = {"context": {}, **defaults, **_parts(value)}
    for name in ("principal", "action", "resource"):
        if name not in parts:
            wire = "subject" if name == "principal" else name
            raise Malformed(f"`{wire}` is required, here or at the top level")
    return DecideArguments(
        principal=parts["principal"], action=parts["action"], resource=parts["resource"], context=parts["context"]
    )


def _parts(value: Mapping[str, Any]) -> dict[str, Any]:
    """The parts that a request has, in the engine's form."""
    parts: dict[str, Any] = {}
    if "subject" in value:
        parts["principal"] = flat(value["subject"])
    if "action" in value:
        parts["action"] = flat_action(value["action"])
    if "resource" in value:
        parts["resource"] = flat(value["resource"])
    if "context" in value:
        parts["context"] = members(value["context"])
    return parts


def _item(item: Any, defaults: Mapping[str, Any]) -> DecideArguments | Malformed:
    try:
        if type(item) is not dict:
            raise Malformed("an evaluation must be an object")
        _check(EvaluationItem, item)
        return _arguments(item, defaults)
    except Malformed as error:
        return error


def _without_id(value: dict[str, Any], sought: Sought) -> dict[str, Any]:
    if sought == "action":  # the whole of it is sought, and a value in its place belongs to nobody
        return {name: each for name, each in value.items() if name != "action"}
    return {**value, sought: {name: each for name, each in value[sought].items() if name != "id"}}


# ---- checking ----


def _check(model: type[BaseModel], value: dict[str, Any]) -> None:
    try:
        validated = model.model_validate(value)
    except ValidationError as error:
        raise Malformed(_message(error)) from None
    _check_names(validated, "")


def _check_names(found: BaseModel, place: str) -> None:
    """No unknown member may have a name that is almost a known one. Unknown members beside an entity's `id` are
    attributes, which the engine checks by the entity's type; the contract only knows `properties`. The same holds for
    the context."""
    fields = type(found).model_fields
    known: Iterable[str] = fields
    if isinstance(found, Action) or "parents" in fields:
        known = ("properties",)
    elif "supported_obligations" in fields:
        known = ("supported_obligations",)
    for name in found.model_extra or ():
        if name == AGENT and "subject" in fields:
            raise Misspelt(f"`{place}agent` in the request; it is a member of `context`")
        if meant := slip(name, known):
            raise Misspelt(f"unknown `{place}{shown(name)}` in the request{_meant(meant)}")
    for name in found.model_fields_set:
        value = getattr(found, name, None)
        for number, each in enumerate(value if isinstance(value, list) else ()):
            if isinstance(each, BaseModel):
                _check_names(each, f"{place}{name}[{number}].")
        if isinstance(value, BaseModel):
            _check_names(value, f"{place}{name}.")


def _meant(name: str) -> str:
    return f"; did you mean `{name}`?" if name else ""


# What pydantic says, in words for those who write requests.
_WORDS = {
    "model_type": "must be an object",
    "dict_type": "must be an object",
    "list_type": "must be an array",
    "string_too_short": "must be a non-empty string",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number, at least 0",
    "int_from_float": "must be a whole number, at least 0",
    "greater_than_equal": "must be a whole number, at least 0",
    "literal_error": f"must be one of {', '.join(SEMANTICS)}",
    "missing": "is required",
}


def _message(error: ValidationError) -> str:
    """The first thing that is wrong."""
    first = error.errors(include_url=False, include_input=False)[0]
    place = _place(first["loc"])
    if first["type"] == "value_error":
        said = str(first["ctx"]["error"])
        return f"in `{place}`: {said}" if place else said
    words = _WORDS.get(first["type"])
    if words is None:
        inner = first["loc"] and isinstance(first["loc"][-1], int)
        words = "must be a string" if inner else "must be a non-empty string"
    return f"`{place}` {words}"


def _place(location: Sequence[str | int]) -> str:
    return "".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in location).removeprefix(".")
