"""A caller and a request: the request completed with what is known of the caller, or the reason why the caller may not
ask.

In: a caller, and the parts of a request as the engine takes them. Out: those parts. Raises `NotYours` for a request
that contradicts the token of the caller about the principal or its agents. What a token says counts like what a source
says: a request may repeat it, or leave it out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from policyengine.callers.caller import Caller

Entity = Mapping[str, Any]
_AGENT = "agent"
_ACTED_FOR = "delegated_by"


class NotYours(Exception):
    """The request is about somebody or something that the caller may not ask about. The message names the part of the
    request, and nothing that the caller did not say itself."""


def bound_principal(caller: Caller, principal: Entity) -> dict[str, Any]:
    """The principal of a request, with what the caller's token says of it."""
    ours = caller.principal
    if ours is None:
        return dict(principal)
    if (principal.get("type"), principal.get("id")) != (ours["type"], ours["id"]):
        raise NotYours("the subject is not the one that the token is for")
    for name in caller.told:
        if name in principal and not (name in ours and _agree(name, principal[name], ours[name])):
            raise NotYours("the subject has attributes or groups that the token does not give it")
    return {**principal, **ours}


def bound_context(caller: Caller, context: Entity) -> dict[str, Any]:
    """The context of a request, with the agents that the caller's token says act for the principal."""
    if caller.agents is None:
        return dict(context)
    if _AGENT in context:
        if not _is_chain(context[_AGENT], caller.agents):
            raise NotYours("the agent is not the one that the token names")
        return {**context, _AGENT: _chain(caller.agents, context[_AGENT])}
    return {**context, _AGENT: _chain(caller.agents, {})} if caller.agents else dict(context)


def _chain(agents: tuple[tuple[str, str], ...], said: Any) -> dict[str, Any]:
    """The agents, nearest first, as the engine follows them; with the attributes that a request adds."""
    (type_, id_), *rest = agents
    attributes = {name: value for name, value in said.items() if name != _ACTED_FOR} | {"type": type_, "id": id_}
    if rest:
        attributes[_ACTED_FOR] = _chain(tuple(rest), said.get(_ACTED_FOR, {}))
    return attributes


def _is_chain(said: Any, agents: tuple[tuple[str, str], ...]) -> bool:
    """Whether what a request says of the agents is the chain, or the beginning of it."""
    if not agents or not isinstance(said, dict) or (said.get("type"), said.get("id")) != agents[0]:
        return False
    return _ACTED_FOR not in said or _is_chain(said[_ACTED_FOR], agents[1:])


def _agree(name: str, said: Any, told: Any) -> bool:
    if name != "parents":
        return _canonical(said) == _canonical(told)
    known = {_canonical(each) for each in told}
    return isinstance(said, list) and all(_canonical(each) in known for each in said)


def _canonical(value: Any) -> str:
    """A text that two values share if they are the same JSON. `1`, `true` and `1.0` are not."""
    return json.dumps(value, sort_keys=True)
