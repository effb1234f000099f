"""The usual evaluation request, read from its bytes straight into the engine's entities.

In: a request body. Out: what `decode.evaluation` makes of it, or None for whatever is not plainly a request: that is
left to `decode`, which knows how to refuse it, and how to read what is rare.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from policyengine.server.decode import Arguments, context_members

_Text = Annotated[str, msgspec.Meta(min_length=1)]
_Members = dict[str, Any] | UnsetType


class _Entity(msgspec.Struct, gc=False):
    type: _Text
    id: _Text
    properties: _Members = UNSET


class _Action(msgspec.Struct, gc=False):
    name: _Text


class _Evaluation(msgspec.Struct, gc=False):
    subject: _Entity
    action: _Action
    resource: _Entity
    context: _Members = UNSET


_decode = msgspec.json.Decoder(_Evaluation).decode
_encode = msgspec.json.Encoder().encode
# Those that every request has: three members, two of either entity, one of the action.
_KEYS = 8


def usual(body: bytes) -> Arguments | None:
    """The arguments of `Engine.decide`; None where `decode` has to look."""
    # A colon may stand in the value as an escape: see `model/json_text.py`. One byte is found faster than two.
    if b"\\" in body and b"\\u" in body:
        return None
    try:
        asked = _decode(body)
        principal, resource, context = asked.subject, asked.resource, asked.context
        who, what, keys = principal.properties, resource.properties, _KEYS
        if who is UNSET:
            who = {}
        else:
            keys += 1 + len(who)
        if what is UNSET:
            what = {}
        else:
            keys += 1 + len(what)
        if context is not UNSET:
            keys += 1 + len(context)
        # Each key has a colon after it. If there are no others, no key came twice, is unknown, or is nested further
        # down. If there are, the text written anew has all keys that were read, once.
        colons = body.count(b":")
        if colons != keys and colons != _encode(asked).count(b":"):
            return None
    except (ValueError, ArithmeticError, RecursionError, msgspec.MsgspecError):
        return None
    if "parents" in who or "parents" in what:
        return None
    # A property of that name cannot pass for the entity's identity.
    who["type"], who["id"] = principal.type, principal.id
    what["type"], what["id"] = resource.type, resource.id
    given: dict[str, Any] = {}
    if context is not UNSET:
        if "supported_obligations" in context:
            return None
        given = context_members(context, "context")
    return {"principal": who, "action": asked.action.name, "resource": what, "context": given}
