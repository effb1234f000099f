"""The result of reading the wire: the arguments of the engine, with flat entities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, get_args

from policyengine.authzen.errors import Malformed

Sought = Literal["subject", "resource", "action"]
Semantic = Literal["execute_all", "deny_on_first_deny", "permit_on_first_permit"]
SEMANTICS: tuple[Semantic, ...] = get_args(Semantic)


class DecideArguments(TypedDict):
    """What `Engine.decide` takes, and each item of `Engine.decide_many`."""

    principal: dict[str, Any]
    action: str | dict[str, Any]
    resource: dict[str, Any]
    context: dict[str, Any]


# Principal, action, resource and context: the same without their names, and None for no context.
Parts = tuple[dict[str, Any], str | dict[str, Any], dict[str, Any], dict[str, Any] | None]


def arguments(parts: Parts) -> DecideArguments:
    principal, action, resource, context = parts
    return {
        "principal": principal,
        "action": action,
        "resource": resource,
        "context": {} if context is None else context,
    }


@dataclass(frozen=True, slots=True)
class Batch:
    """The items of an evaluations request. `order` has an index into `items` for each of them, as equal items are read
    once; an item is a request, or the reason why it is not one. `sizes` are their lengths as text, with the defaults,
    and `elements` how many elements collections in them can have at most: one more than there are commas."""

    items: Sequence[DecideArguments | Malformed]
    sizes: Sequence[int]
    elements: Sequence[int]
    order: Sequence[int]
    semantic: Semantic


@dataclass(frozen=True, slots=True)
class Search:
    """What a search asks for. The entity that is sought has a type and no id; for actions `action` is "".

    `limit` and `token` are None if the request does not have them; `paged` says whether it has a `page` at all.
    `question` is everything that determines the result, as plain JSON.
    """

    sought: Sought
    principal: dict[str, Any]
    action: str | dict[str, Any]
    resource: dict[str, Any]
    context: dict[str, Any]
    paged: bool
    limit: int | None
    token: str | None
    question: Any


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
    explain: bool = False
