"""Names in a request that are most likely misspelt: their content would silently be ignored.

A member of the context, or a name for an entity's place (`parents`, `delegated_by`), that is unknown but resembles a
known one is an error of the request. Other unknown names are ignored, as AuthZEN requires.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from policyengine.diagnostics import codes
from policyengine.diagnostics.suggest import misspelt, nearest
from policyengine.model.entities import PARENTS
from policyengine.model.request import Request
from policyengine.model.values import Fault, as_entity
from policyengine.schema.members import DELEGATED_BY, context_names, names_of
from policyengine.schema.mentions import AGENT, Mentioned, Mentions
from policyengine.schema.schema import Schema

REQUEST = frozenset({"principal", "action", "resource", "context", "approved", "metered"})
_DELEGATES = frozenset({DELEGATED_BY})
# Members in which a caller describes itself over HTTP.
OF_THE_CONTRACT = frozenset({"supported_obligations", "metered_limits"})


def check_names(request: Request, mentioned: Mentions, schema: Schema) -> None:
    """Raises Fault if the context, or an entity that the request mentions, has a name that is most likely misspelt, or
    if the caller says that an entity is in one of an undeclared type."""
    check_own_names(request, mentioned, schema)
    check_other_names(mentioned, schema)


def check_own_names(request: Request, mentioned: Mentions, schema: Schema) -> None:
    """The half of `check_names` that does not depend on the resource and the action; raises as it does."""
    if request.context:
        known = context_names(schema)
        _check(request.context, known, known, "the context")
        if schema.closed_context and not request.context.keys() <= known | OF_THE_CONTRACT:
            raise Fault(codes.CLOSED_CONTEXT.id, "the context is closed, and has an undeclared name")
    # The principal may have it, whatever its type declares.
    _check_said(mentioned.own, schema, _check_parents, _DELEGATES)


def check_other_names(mentioned: Mentions, schema: Schema) -> None:
    """The half of `check_names` about what the resource and the action mention; raises as it does. A resource's parents
    may come from a store, so parents of undeclared types are not an error there."""
    _check_said(mentioned.others, schema, lambda parents, schema: None)


def check_keys(request: Any) -> None:
    """Raises Fault if a request, as a mapping of keywords, has one that is most likely misspelt, or misplaced."""
    if AGENT in request:
        raise Fault(codes.MISSPELT_NAME.id, "the agent of a request is a member of its context")
    _check(request, REQUEST, REQUEST, "the request")


def _check_said(
    mentioned: Mentioned,
    schema: Schema,
    look_above: Callable[[Any, Schema], None],
    more: frozenset[str] = frozenset(),
) -> None:
    # Entities that are only named have no other names.
    for uid in sorted(mentioned.contents):
        names = names_of(uid.type, schema)
        for entity in mentioned.contents[uid]:
            for name in sorted(names.sourced & entity.keys()):
                raise Fault(codes.CLAIMED.id, f"only the entity source may supply `{name}` of a `{uid.type}`")
            if not entity.keys() <= names.members:
                _check(entity, names.members, names.weighty | more, "an entity")
            look_above(entity.get(PARENTS), schema)


def _check_parents(parents: Any, schema: Schema) -> None:
    """Malformed parents are reported by evaluation."""
    declared = schema.entities
    for parent in parents if type(parents) in (list, tuple) else ():
        if type(parent) is dict and type(parent.get("type")) is str and parent["type"] in declared:
            continue
        try:
            type_ = as_entity(parent).uid.type
        except Fault:
            continue
        if type_ not in schema.entities:
            near = nearest(type_, schema.entities) if len(type_) <= 100 else ""
            raise Fault(codes.UNDECLARED_PARENT.id, f"the type of a parent is not declared{_meant(near)}")


def _meant(near: str) -> str:
    return f"; did you mean `{near}`?" if near else ""


def _check(given: Iterable[Any], known: frozenset[str], wanted: frozenset[str], what: str) -> None:
    for name in given:
        if type(name) is str and name not in known:
            near = _near(name, wanted)
            if near:
                raise Fault(codes.MISSPELT_NAME.id, f"a name in {what} is not known{_meant(near)}")


@lru_cache(maxsize=4096)
def _near(name: str, known: frozenset[str]) -> str:
    return misspelt(name, known)
