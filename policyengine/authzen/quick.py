"""The usual request, read from its bytes straight into the engine's entities.

In: the body of an evaluation or of a batch. Out: what `read.py` makes of it, or None for whatever is not plainly a
request: that is left to `read.py`, which knows how to refuse it, and how to read what is rare. A law holds the two
together.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from policyengine.authzen.arguments import SEMANTICS, Arguments, Batch, Semantic
from policyengine.authzen.entities import members, members_problem
from policyengine.authzen.refused import Malformed

_Text = Annotated[str, msgspec.Meta(min_length=1)]
_Members = dict[str, Any] | UnsetType


class _Entity(msgspec.Struct, gc=False):
    type: _Text
    id: _Text
    properties: _Members = UNSET


class _Action(msgspec.Struct, gc=False):
    name: _Text


class _Item(msgspec.Struct, gc=False):
    subject: _Entity | UnsetType = UNSET
    action: _Action | UnsetType = UNSET
    resource: _Entity | UnsetType = UNSET
    context: _Members = UNSET


class _Options(msgspec.Struct, gc=False):
    evaluations_semantic: Semantic | UnsetType = UNSET


class _Batch(_Item, gc=False):
    options: _Options | UnsetType = UNSET
    evaluations: list[msgspec.Raw] = []


_decode = msgspec.json.Decoder(_Item).decode
_decode_batch = msgspec.json.Decoder(_Batch).decode
_encode = msgspec.json.Encoder().encode
_UNREADABLE = (ValueError, ArithmeticError, RecursionError, msgspec.MsgspecError)
# Principal, action, resource and context; None for what is missing.
_Parts = tuple[dict[str, Any] | None, str | None, dict[str, Any] | None, dict[str, Any] | None]


def evaluation(body: bytes) -> Arguments | None:
    """The arguments of `Engine.decide`; None where `read` has to look."""
    if _has_escapes(body):
        return None
    try:
        parts = _item(body)
    except _UNREADABLE:
        return None
    if parts is None:
        return None
    principal, action, resource, context = parts
    if principal is None or action is None or resource is None:
        return None
    return {
        "principal": principal,
        "action": action,
        "resource": resource,
        "context": {} if context is None else context,
    }


def batch(body: bytes) -> Batch | None:
    """The items of a batch; None where `read` has to look. Items of one text are read once."""
    if _has_escapes(body):
        return None
    try:
        asked = _decode_batch(body)
        # Items go into the text as they came, so this compares the keys outside of them.
        if not asked.evaluations or _encode(asked).count(b":") != body.count(b":"):
            return None
        texts = [bytes(each) for each in asked.evaluations]
        known: dict[bytes, int] = {}
        order = [known.setdefault(text, len(known)) for text in texts]
        nested = body.count(_PROPERTIES) - sum([text.count(_PROPERTIES) for text in texts])
        defaults = _read(asked, nested)
        if defaults is None:
            return None
        who, what_for, what, around = defaults
        items: list[Arguments | Malformed] = []
        for text in known:
            parts = _item(text)
            if parts is None:
                return None
            principal, action, resource, context = parts
            principal, action, resource = principal or who, action or what_for, resource or what
            if principal is None or action is None or resource is None:
                return None
            context = around if context is None else context
            items.append(
                {
                    "principal": principal,
                    "action": action,
                    "resource": resource,
                    "context": {} if context is None else context,
                }
            )
    except _UNREADABLE:
        return None
    semantic = UNSET if asked.options is UNSET else asked.options.evaluations_semantic
    asked.evaluations = []
    outside = len(_encode(asked))
    return Batch(items, [len(text) + outside for text in known], order, semantic or SEMANTICS[0])


_PROPERTIES = b'"properties"'


def _has_escapes(body: bytes) -> bool:
    """A colon may stand in the value as an escape: see `model/json_text.py`. One byte is found faster than two."""
    return b"\\" in body and b"\\u" in body


def _item(text: bytes) -> _Parts | None:
    """What one request has. None if it is not plainly one; raises what is _UNREADABLE."""
    item = _decode(text)
    subject, action, resource, context = item.subject, item.action, item.resource, item.context
    keys = 0
    if subject is not UNSET:
        keys += 3 if subject.properties is UNSET else 4 + len(subject.properties)
    if action is not UNSET:
        keys += 2
    if resource is not UNSET:
        keys += 3 if resource.properties is UNSET else 4 + len(resource.properties)
    if context is not UNSET:
        keys += 1 + len(context)
    # Each key has a colon after it. If there are no others, no key came twice, is unknown, or is nested further down.
    # If there are, the text written anew has all keys that were read, once.
    colons = text.count(b":")
    if colons != keys and colons != _encode(item).count(b":"):
        return None
    return _read(item, text.count(_PROPERTIES))


def _read(item: _Item, properties: int) -> _Parts | None:
    """The parts of an item, in the text of which `"properties"` stands so often."""
    subject, resource, context = item.subject, item.resource, item.context
    principal = None if subject is UNSET else _flat(subject)
    what = None if resource is UNSET else _flat(resource)
    around = None if context is UNSET else context
    if principal is not None and subject.properties is not UNSET:  # type: ignore[union-attr]
        properties -= 1
        if "parents" in principal:
            return None
    if what is not None and resource.properties is not UNSET:  # type: ignore[union-attr]
        properties -= 1
        if "parents" in what:
            return None
    if around is not None and "supported_obligations" in around and not _are_texts(around["supported_obligations"]):
        return None
    if around is not None and "metered_limits" in around:
        said = around["metered_limits"]
        if said.__class__ is not bool and not _are_texts(said):
            return None
    action = None if item.action is UNSET else item.action.name
    if not properties:
        return principal, action, what, around
    # Somewhere further down there may be an entity.
    for each in (principal, what, around):
        if each is not None and members_problem(each, ""):
            return None
    return (
        None if principal is None else members(principal),
        action,
        None if what is None else members(what),
        None if around is None else members(around),
    )


def _flat(entity: _Entity) -> dict[str, Any]:
    """The engine's entity. A property cannot pass for its identity."""
    made: dict[str, Any] = {} if entity.properties is UNSET else entity.properties
    made["type"] = entity.type
    made["id"] = entity.id
    return made


def _are_texts(value: Any) -> bool:
    return value.__class__ is list and all(each.__class__ is str for each in value)
