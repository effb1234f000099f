"""The way in for requests in which what rules are looked up by has no value: all rules of that table err, as before.

In: an outcome for which a decision has been made, and what was amiss. Out: an entry of its own for requests in which
the same is amiss, of the same blocks but without that table. It gives the decisions that were made of such requests,
and raises for any other. `native/intake.c` asks here when a request is not in order. Only what a value's class tells is
known here: that an attribute is missing, or is of another type than it should be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from policyengine.compile.entry import TableLookup
from policyengine.compile.intake import Entry
from policyengine.compile.making import FEW, need
from policyengine.compile.runtime import Unusual
from policyengine.compile.site import Site
from policyengine.diagnostics import codes
from policyengine.ir import nodes as ir
from policyengine.model.decision import Decision
from policyengine.model.entities import ABSENT
from policyengine.model.request import Request
from policyengine.model.types import BOOL, INT, NUMBER, STRING

# Whose values are told from others by their classes.
_TYPES = frozenset({STRING, INT, BOOL, NUMBER})
_CLASSES = frozenset({type(ABSENT), type(None), bool, int, float, str, list, dict})
_CODES = frozenset({codes.MISSING.id, codes.WRONG_VALUE.id})
_ROOTS = ("principal", "resource", "context")
# So many outcomes are remembered of each.
MOST_KNOWN = 256

Hits = tuple[tuple[int, int], ...]
Outcomes = dict[Any, Decision]
# The number of the table that is left out, and what its entry looks decisions up in: by mask, and by mask and hits.
Make = Callable[[int, Outcomes, Outcomes], Entry]


class Spare:
    """Of one bucket. `make` makes an entry without a table, which asks so many rules itself."""

    def __init__(self, tables: Sequence[TableLookup], site: Site, make: Make, asked: int) -> None:
        self._make, self._asked = make, asked
        # Where the keys of tables stand, by the number of the table.
        self._places: Mapping[int, tuple[int, str]] = {
            number: (_ROOTS.index(key.base.name), key.name)
            for number, key in enumerate(table.dimension for table in tables)
            if isinstance(key, ir.Attribute)
            and isinstance(key.base, ir.Root)
            and key.base.name in _ROOTS
            and key.type in _TYPES
            and (key.base.name == "context" or site.type_of(key.base.name) not in site.recorded)
        }
        self._known: dict[tuple[int, type], tuple[Entry, Outcomes, Outcomes]] = {}
        self._looks: tuple[tuple[int, str, dict[type, Entry]], ...] = ()

    def learn(self, number: int, code: str, asked: Request, mask: int, hits: Hits, decision: Decision) -> None:
        """The decision about a request that is in order but for the key of one table. May raise Unmade."""
        place = self._places.get(number)
        if place is None or code not in _CODES:
            return
        parts = (asked.principal.attributes, asked.resource.attributes, asked.context)
        kind = type(parts[place[0]].get(place[1], ABSENT))
        if kind not in _CLASSES:
            return
        if (number, kind) not in self._known:
            if self._asked > FEW:
                need((self, number, kind), lambda: self._prepare(number, kind))
            self._prepare(number, kind)
        _, outcomes, decisions = self._known[number, kind]
        if len(outcomes) + len(decisions) < MOST_KNOWN:
            if hits:
                decisions.setdefault((mask, hits), decision)
            else:
                outcomes.setdefault(mask, decision)

    def _prepare(self, number: int, kind: type) -> None:
        outcomes, decisions = Outcomes(), Outcomes()
        self._known[number, kind] = self._make(number, outcomes, decisions), outcomes, decisions
        place = self._places[number]
        entries = {one: entry for (other, one), (entry, _, _) in list(self._known.items()) if other == number}
        # Whoever looks meanwhile has the one before.
        self._looks = (*(look for look in self._looks if look[:2] != place), (*place, entries))

    def ask(self, *given: Any) -> Decision:
        """The decision about a request that is not in order, as an entry takes it. Raises where it is not known."""
        for root, name, entries in self._looks:
            entry = entries.get(type(given[root].get(name, ABSENT)))
            if entry is not None:
                return entry(*given, True)
        raise Unusual
