"""Names in a request that are most likely misspelt: what such a one was to say would silently not be said.

A member of the context, or what says where an entity stands (`parents`, `delegated_by`), that is not known but
resembles one that is, is an error of the request. Others are ignored, as AuthZEN wants it.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from policyengine.diagnostics.suggest import misspelt
from policyengine.model.entities import PARENTS
from policyengine.model.request import Request
from policyengine.model.values import Entity, Fault
from policyengine.schema.schema import Schema

DELEGATED_BY = "delegated_by"
REQUEST = frozenset({"principal", "action", "resource", "context", "approved", "metered"})
# So many harmless names are remembered; others are looked at each time.
MEMORY = 1_000


def check_names(request: Request, entities: Iterable[Entity], schema: Schema) -> None:
    """Raises Fault where the context, or one of the entities, has a name that is most likely misspelt."""
    _check(request.context, context_names(schema), context_names(schema), "the context")
    for entity in entities:
        known = members(entity.uid.type, schema)
        _check(entity.attributes, known, known & {PARENTS, DELEGATED_BY}, "an entity")


def check_keys(request: Any) -> None:
    """Raises Fault where a request, as a mapping of keywords, has one that is most likely misspelt."""
    _check(request, REQUEST, REQUEST, "the request")


def context_names(schema: Schema) -> frozenset[str]:
    return frozenset({*schema.context, "agent", "provenance"})


def members(type_: str, schema: Schema) -> frozenset[str]:
    """What an entity of a type may have: its attributes, and what says who it is and where it stands."""
    declared = schema.entities.get(type_)
    return frozenset({"type", "id", PARENTS, *(declared.attributes if declared is not None else ())})


def _check(given: Iterable[Any], known: frozenset[str], wanted: frozenset[str], what: str) -> None:
    for name in given:
        if type(name) is str and name not in known:
            near = _near(name, wanted)
            if near:
                raise Fault("POL520", f"a name in {what} is not known; did you mean `{near}`?")


@lru_cache(maxsize=4096)
def _near(name: str, known: frozenset[str]) -> str:
    return misspelt(name, known)


class Harmless:
    """The names that need no look any more: those that are known, and those that were found to resemble none. The sets
    only grow, and generated code looks at them."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self.context: set[str] = set(context_names(schema))
        self._members: dict[str, set[str]] = {}

    def members(self, type_: str) -> set[str]:
        found = self._members.get(type_)
        return self._members.setdefault(type_, set(members(type_, self._schema))) if found is None else found

    def learn(self, request: Request) -> None:
        """Remembers the names of a request that was checked."""
        _add(self.context, request.context)
        for entity in (request.principal, request.resource):
            _add(self.members(entity.uid.type), entity.attributes)


def _add(to: set[str], names: Iterable[Any]) -> None:
    if len(to) < MEMORY:
        to.update(name for name in names if type(name) is str and len(name) <= 100)
