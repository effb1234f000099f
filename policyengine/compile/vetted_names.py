"""Names in requests that were already checked, so that a usual request costs one comparison of sets.

`schema/misspelt_names.py` says which names are checked, and what an odd name does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from policyengine.diagnostics.suggest import misspelt
from policyengine.model.request import Request
from policyengine.schema.members import DELEGATED_BY, context_names, names_of
from policyengine.schema.mentions import Mentions
from policyengine.schema.schema import Schema

# How many names without a likeness are remembered; others are checked each time.
MEMORY = 1_000


class VettedNames:
    """The names that need no check any more: those that are declared, and those that were found to resemble none. The
    sets only grow, and generated code reads them."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self.context: set[str] = set(context_names(schema))
        self.by_type: dict[str, set[str]] = {}

    def members(self, type_: str) -> set[str]:
        names_known = self.by_type.get(type_)
        if names_known is None and type_ not in self._schema.entities:
            # Callers could make up types without end.
            return set(names_of(type_, self._schema).members)
        if names_known is None:
            # A name that only the source may give is checked in every request that has it.
            names = names_of(type_, self._schema)
            names_known = self.by_type.setdefault(type_, set(names.members - names.sourced))
        return names_known

    def learn(self, request: Request, mentioned: Mentions) -> None:
        """Remembers the names in a request that was checked, and in the entities that it mentions."""
        _add(self.context, request.context)
        for contents in (mentioned.own.contents, mentioned.others.contents):
            for uid in contents:
                for entity in contents[uid]:
                    _add(self.members(uid.type), entity)


def _add(to: set[str], names: Iterable[Any]) -> None:
    if len(to) < MEMORY:
        # Most are known already, and checking one again costs more than the rest of deciding.
        fresh = (name for name in names if type(name) is str and name not in to and len(name) <= 100)
        to.update([name for name in fresh if not _delegates(name)])


def _delegates(name: str) -> bool:
    """An entity with this attribute acts for others, even if no type declares it; so does one with a name that
    resembles it."""
    return name == DELEGATED_BY or bool(misspelt(name, (DELEGATED_BY,)))
