"""The usual request, read from its bytes straight into the engine's entities.

In: the body of an evaluation or of a batch. Out: what `read.py` makes of it, or None for anything unusual or wrong:
that is left to `read.py`, which knows how to refuse it, and how to read rare forms. A law holds that the two agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from policyengine.authzen.engine_arguments import SEMANTICS, Batch, DecideArguments, Parts, Semantic, arguments
from policyengine.authzen.entities import looks_like_entity, members, members_problem
from policyengine.authzen.errors import Malformed
from policyengine.diagnostics.suggest import slip

_Text = Annotated[str, msgspec.Meta(min_length=1)]
_Members = dict[str, Any] | UnsetType


class _Entity(msgspec.Struct, gc=False):
    type: _Text
    id: _Text
    properties: _Members = UNSET


class _Action(msgspec.Struct, gc=False):
    name: _Text
    properties: _Members = UNSET


class _Item(msgspec.Struct, gc=False):
    subject: _Entity | UnsetType = UNSET
    action: _Action | UnsetType = UNSET
    resource: _Entity | UnsetType = UNSET
    context: _Members = UNSET


class _Options(msgspec.Struct, gc=False):
    evaluations_semantic: Semantic | UnsetType = UNSET


class _Outside(_Item, gc=False):
    options: _Options | UnsetType = UNSET


class _Batch(_Outside, gc=False):
    evaluations: list[_Item] = []


class _Texts(_Outside, gc=False):
    """A batch with its items as they came."""

    evaluations: list[msgspec.Raw] = []


_decode = msgspec.json.Decoder(_Item).decode
_decode_batch = msgspec.json.Decoder(_Batch).decode
_decode_texts = msgspec.json.Decoder(_Texts).decode
_encode = msgspec.json.Encoder().encode
_UNREADABLE = (ValueError, ArithmeticError, RecursionError, msgspec.MsgspecError)
# Principal, action, resource and context; None for what is missing.
_Found = tuple[dict[str, Any] | None, str | dict[str, Any] | None, dict[str, Any] | None, dict[str, Any] | None]


def evaluation(body: bytes) -> DecideArguments | None:
    """The arguments of `Engine.decide`; None if `read` has to read the body."""
    asked = parts(body)
    return None if asked is None else arguments(asked)


def parts(body: bytes) -> Parts | None:
    """The parts of an evaluation; None if `read` has to read the body."""
    if _has_escapes(body):
        return None
    try:
        item = _decode(body)
        read = _read(body, item, (item,))
    except _UNREADABLE:
        return None
    if read is None:
        return None
    ((principal, action, resource, context),) = read
    if principal is None or action is None or resource is None:
        return None
    return principal, action, resource, context


def few(body: bytes, most: int) -> list[Parts] | None:
    """The parts of each item of a batch with at most `most` items that are all to be answered; None if `batch` has to
    read it. Equal items are read separately."""
    if _has_escapes(body):
        return None
    try:
        asked = _decode_batch(body)
        if not 0 < len(asked.evaluations) <= most or asked.options is not UNSET:
            return None
        if _is_bare(asked) and _is_simple(asked.evaluations[0]):
            items = _whole(body, asked.evaluations)
            if items is not None:
                return items
            # `_whole` has emptied them.
            asked = _decode_batch(body)
        read = _read(body, asked, [asked, *asked.evaluations])
    except _UNREADABLE:
        return None
    if read is None:
        return None
    (who, what_for, what, around), *each = read
    items = []
    for principal, action, resource, context in each:
        principal, action, resource = principal or who, action or what_for, resource or what
        if principal is None or action is None or resource is None:
            return None
        items.append((principal, action, resource, around if context is None else context))
    return items


def _is_bare(asked: _Batch) -> bool:
    """Whether there are no defaults that items could use."""
    return asked.subject is UNSET and asked.action is UNSET and asked.resource is UNSET and asked.context is UNSET


def _is_simple(item: _Item) -> bool:
    """Whether the values of an item have no objects and no colons; the other items will probably be like it."""
    for entity in (item.subject, item.resource):
        if entity is UNSET or ":" in entity.id or not _are_simple(entity.properties):
            return False
    return _are_simple(item.context)


def _are_simple(values: _Members) -> bool:
    if values is UNSET:
        return True
    return not any(":" in each if each.__class__ is str else each.__class__ is dict for each in values.values())


def _whole(text: bytes, items: Sequence[_Item]) -> list[Parts] | None:
    """Like `_read`, for items that leave nothing out and have nothing nested. It empties them."""
    keys = 1 + 10 * len(items)
    parts_read: list[Parts] = []
    add = parts_read.append
    for item in items:
        subject, action, resource = item.subject, item.action, item.resource
        context: Any = item.context
        if subject is UNSET or action is UNSET or resource is UNSET:
            return None
        if context is UNSET:
            context = None
        elif "supported_obligations" in context or "metered_limits" in context or any(map(_is_slip, context)):
            return None
        else:
            keys += 1 + len(context)
        principal, target = subject.properties, resource.properties
        if principal is UNSET:
            keys -= 1
            principal = {}
        if target is UNSET:
            keys -= 1
            target = {}
        if "parents" in principal or "parents" in target:
            return None
        keys += len(principal) + len(target)
        # A property cannot pass for its identity.
        principal["type"], principal["id"] = subject.type, subject.id
        target["type"], target["id"] = resource.type, resource.id
        if action.properties is UNSET:
            add((principal, action.name, target, context))
        else:
            keys += 1 + len(action.properties)
            add((principal, {**action.properties, "name": action.name}, target, context))
    # See `_read`: there are no other keys, so that nothing is nested either.
    return parts_read if text.count(b":") == keys else None


def batch(body: bytes) -> Batch | None:
    """The items of a batch; None if `read` has to read it. Items with the same text are read once."""
    if _has_escapes(body):
        return None
    try:
        came = _decode_texts(body)
        texts = [bytes(each) for each in came.evaluations]
        known: dict[bytes, int] = {}
        order = [known.setdefault(text, len(known)) for text in texts]
        if not order:
            return None
        if len(known) < len(texts):
            once = _without_repeats(body, came, known)
            if once is None:
                return None
            body = once
        asked = _decode_batch(body)
        read = _read(body, asked, [asked, *asked.evaluations])
    except _UNREADABLE:
        return None
    if read is None:
        return None
    (who, what_for, what, around), *each = read
    around = {} if around is None else around
    items: list[DecideArguments | Malformed] = []
    for principal, action, resource, context in each:
        principal, action, resource = principal or who, action or what_for, resource or what
        if principal is None or action is None or resource is None:
            return None
        context = around if context is None else context
        items.append({"principal": principal, "action": action, "resource": resource, "context": context})
    semantic = UNSET if asked.options is UNSET else asked.options.evaluations_semantic
    # The defaults are written anew: what is between the items does not belong to any of them.
    outside = _encode(_Outside(asked.subject, asked.action, asked.resource, asked.context, asked.options))
    length, commas = len(outside), outside.count(b",")
    sizes = [len(text) + length for text in known]
    elements = [text.count(b",") + commas + 1 for text in known]
    return Batch(items, sizes, elements, order, semantic or SEMANTICS[0])


_PROPERTIES = b'"properties"'


def _has_escapes(body: bytes) -> bool:
    """A colon may stand in the value as an escape: see `model/json_text.py`. One byte is found faster than two."""
    return b"\\" in body and b"\\u" in body


def _without_repeats(body: bytes, asked: _Texts, known: Iterable[bytes]) -> bytes | None:
    """The text of a batch with each of its items once; None if it has an unknown key, or a key twice."""
    # Items go into the text as they came, so this compares the keys outside of them.
    if _encode(asked).count(b":") != body.count(b":"):
        return None
    asked.evaluations = [msgspec.Raw(text) for text in known]
    return _encode(asked)


def _read(text: bytes, whole: _Item, items: Sequence[_Item]) -> list[_Found] | None:
    """The parts of items. They are everything in the text of `whole`; None if that is not certain."""
    keys, entities = 0, 0
    principal: dict[str, Any] | None
    target: dict[str, Any] | None
    read: list[_Found] = []
    add = read.append
    for item in items:
        # Written out one after the other, as most of the time of reading a batch goes here.
        subject, action, resource, context = item.subject, item.action, item.resource, item.context
        if subject is UNSET:
            principal = None
        elif subject.properties is UNSET:
            keys += 3
            principal = {"type": subject.type, "id": subject.id}
        else:
            properties = subject.properties
            if "parents" in properties:
                return None
            keys += 4 + len(properties)
            entities += 1
            # A property cannot pass for its identity.
            principal = {**properties, "type": subject.type, "id": subject.id}
        if resource is UNSET:
            target = None
        elif resource.properties is UNSET:
            keys += 3
            target = {"type": resource.type, "id": resource.id}
        else:
            properties = resource.properties
            if "parents" in properties:
                return None
            keys += 4 + len(properties)
            entities += 1
            target = {**properties, "type": resource.type, "id": resource.id}
        asked_action: str | dict[str, Any] | None
        if action is UNSET:
            asked_action = None
        elif action.properties is UNSET:
            keys += 2
            asked_action = action.name
        else:
            keys += 3 + len(action.properties)
            entities += 1
            asked_action = {**action.properties, "name": action.name}
        if context is UNSET:
            add((principal, asked_action, target, None))
            continue
        keys += 1 + len(context)
        if "supported_obligations" in context and not _are_texts(context["supported_obligations"]):
            return None
        if "metered_limits" in context:
            metered = context["metered_limits"]
            if metered.__class__ is not bool and not _are_texts(metered):
                return None
        if context and any(map(_is_slip, context)):
            return None
        add((principal, asked_action, target, context))
    if isinstance(whole, _Batch):
        keys += 1
        if whole.options is not UNSET:
            keys += 1 if whole.options.evaluations_semantic is UNSET else 2
    # Each key has a colon after it. If there are no other colons, no key came twice, is unknown, or is nested deeper.
    # If there are, the text written anew has all keys that were read, once. No key is counted that is not there, so
    # what one item has too many another cannot have too few.
    colons = text.count(b":")
    if colons != keys and colons != _encode(whole).count(b":"):
        return None
    if colons == keys or text.count(_PROPERTIES) == entities:
        return read
    # There may be an entity somewhere deeper.
    return [
        (_of(principal), _of(action) if isinstance(action, dict) else action, _of(target), _of(request_context))
        for principal, action, target, request_context in read
    ]


def _of(value: dict[str, Any] | None) -> dict[str, Any] | None:
    """Like `members`. Raises ValueError if there is a problem."""
    if value is None:
        return None
    try:
        return _plainly(value, _DEEP)
    except _Rare:
        if members_problem(value, ""):
            raise ValueError from None
        return members(value)


class _Rare(Exception):
    """Entities in lists, with parents, with attributes beside `id`, or very deep."""


_DEEP = 16


def _plainly(value: dict[str, Any], deep: int) -> dict[str, Any]:
    """Like `members`, for entities of the usual form. Raises _Rare."""
    changed: dict[str, Any] = {}
    for name, each in value.items():
        if each.__class__ is list:
            for element in each:
                if element.__class__ is dict or element.__class__ is list:
                    raise _Rare
        elif each.__class__ is dict:
            if not deep:
                raise _Rare
            if looks_like_entity(each):
                properties = each["properties"]
                if len(each) != 3 or not each["type"] or not each["id"] or "parents" in properties:
                    raise _Rare
                read = _plainly(properties, deep - 1)
                changed[name] = {**read, "type": each["type"], "id": each["id"], "properties": properties}
            else:
                read = _plainly(each, deep - 1)
                if read is not each:
                    changed[name] = read
    return {**value, **changed} if changed else value


def _is_slip(name: str) -> bool:
    """Whether a member of a context has a name that `read` refuses."""
    return len(name) <= _LONGEST and _known_slip(name)


# Longer names are not misspellings of a known one, and the cache is bounded.
_LONGEST = 64


@lru_cache(1024)
def _known_slip(name: str) -> bool:
    return bool(slip(name, ("supported_obligations",)))


def _are_texts(value: Any) -> bool:
    return value.__class__ is list and all(each.__class__ is str for each in value)
