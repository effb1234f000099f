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
from policyengine.schema.members import DELEGATED_BY, context_names, members
from policyengine.schema.schema import Schema

REQUEST = frozenset({"principal", "action", "resource", "context", "approved", "metered"})


def check_names(request: Request, entities: Iterable[Entity], schema: Schema) -> None:
    """Raises Fault where the context, or one of the entities, has a name that is most likely misspelt."""
    _check(request.context, context_names(schema), context_names(schema), "the context")
    for entity in entities:
        known = members(entity.uid.type, schema)
        _check(entity.attributes, known, known & {PARENTS, DELEGATED_BY}, "an entity")


def check_keys(request: Any) -> None:
    """Raises Fault where a request, as a mapping of keywords, has one that is most likely misspelt."""
    _check(request, REQUEST, REQUEST, "the request")


def _check(given: Iterable[Any], known: frozenset[str], wanted: frozenset[str], what: str) -> None:
    for name in given:
        if type(name) is str and name not in known:
            near = _near(name, wanted)
            if near:
                raise Fault("POL520", f"a name in {what} is not known; did you mean `{near}`?")


@lru_cache(maxsize=4096)
def _near(name: str, known: frozenset[str]) -> str:
    return misspelt(name, known)
