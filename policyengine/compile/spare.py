"""The way in for requests in which attributes that rules read first have no value: those rules err, as before.

In: an outcome for which a decision has been made, and what was amiss. Out: an entry of its own for requests in which
the same is amiss, of the same blocks but without the rules that err for it, in tables and apart from tables. It gives
the decisions that were made of such requests, and raises for any other, as where another rule reads such an attribute.
`native/intake.c` asks here when a request is not in order. Only what a value's class tells is known here: that an
attribute is missing, or is of another type than it should be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from policyengine.compile.first_reads import Key, key_of
from policyengine.compile.intake import Entry
from policyengine.compile.making import FEW, need
from policyengine.compile.runtime import Unusual
from policyengine.compile.site import Site
from policyengine.diagnostics import codes
from policyengine.ir import nodes as ir
from policyengine.model.decision import Decision
from policyengine.model.request import Request
from policyengine.model.types import BOOL, INT, NUMBER, STRING, Type


class _Gone:
    """The class of what is not there: no value of a request has it."""


_GONE = _Gone()
# Whose values are told from others by their classes, and the classes of those that fit.
_FIT: Mapping[Type, frozenset[type]] = {
    STRING: frozenset({str}),
    INT: frozenset({int}),
    BOOL: frozenset({bool}),
    NUMBER: frozenset({int, float}),
}
_CLASSES = frozenset({_Gone, type(None), bool, int, float, str, list, dict})
_CODES = frozenset({codes.MISSING.id, codes.WRONG_VALUE.id})
_ROOTS = ("principal", "resource", "context")
# So many outcomes are remembered of each, and so many ways in are made: each asks all other rules.
MOST_KNOWN = 256
MOST_WAYS = 64

Hits = tuple[tuple[int, int], ...]
Outcomes = dict[Any, Decision]
# Which attributes have no value, and what the entry looks decisions up in: by mask, and by mask and hits.
Make = Callable[[frozenset[Key], Outcomes, Outcomes], Entry]
Place = tuple[int, str]
Classes = tuple[type, ...]


class Spare:
    """Of one bucket. `make` makes an entry without the rules that read some attributes first; otherwise it asks as many
    rules itself as are `asked`."""

    def __init__(self, make: Make, asked: int, site: Site) -> None:
        self._make, self._asked, self._site = make, asked, site
        self._known: dict[tuple[frozenset[Key], Classes], tuple[Entry, Outcomes, Outcomes]] = {}
        # Where most is amiss, first.
        self._looks: tuple[tuple[tuple[Place, ...], dict[Classes, Entry]], ...] = ()

    def learn(
        self, lacking: Sequence[ir.Attribute], told: Sequence[str], asked: Request, mask: int, hits: Hits,
        decision: Decision,
    ) -> None:  # fmt: skip
        """The decision about a request that is in order but for these attributes; `told` are the codes that say why.
        `mask` and `hits` are those of the other rules. May raise Unmade."""
        if not _CODES.issuperset(told) or not all(map(self._is_told, lacking)):
            return
        parts = (asked.principal.attributes, asked.resource.attributes, asked.context)
        places = tuple(sorted({_place(each) for each in lacking}))
        classes = tuple(type(parts[root].get(name, _GONE)) for root, name in places)
        fits = [_FIT[each.type] for each in lacking]
        of = dict(zip(places, classes, strict=True))
        if not _CLASSES.issuperset(classes) or any(
            of[_place(each)] in fit for each, fit in zip(lacking, fits, strict=True)
        ):
            return
        known = (frozenset(map(key_of, lacking)), classes)
        if known not in self._known:
            if len(self._known) >= MOST_WAYS:
                return
            if self._asked > FEW:
                need((self, known), lambda: self._prepare(known, places))
            self._prepare(known, places)
        _, outcomes, decisions = self._known[known]
        if len(outcomes) + len(decisions) < MOST_KNOWN:
            if hits:
                decisions.setdefault((mask, hits), decision)
            else:
                outcomes.setdefault(mask, decision)

    def _is_told(self, attribute: ir.Attribute) -> bool:
        """Whether the class of what the request says tells that the attribute has no value."""
        base = attribute.base
        if not isinstance(base, ir.Root) or base.name not in _ROOTS or attribute.type not in _FIT:
            return False
        return base.name == "context" or self._site.type_of(base.name) not in self._site.recorded

    def _prepare(self, known: tuple[frozenset[Key], Classes], places: tuple[Place, ...]) -> None:
        if known in self._known:
            return
        outcomes, decisions = Outcomes(), Outcomes()
        lacking, classes = known
        entry = self._make(lacking, outcomes, decisions)
        self._known[known] = entry, outcomes, decisions
        # Whoever looks meanwhile has the ones before.
        looks = {where: dict(entries) for where, entries in self._looks}
        looks.setdefault(places, {})[classes] = entry
        self._looks = tuple(sorted(looks.items(), key=lambda look: -len(look[0])))

    def ask(self, *given: Any) -> Decision:
        """The decision about a request that is not in order, as an entry takes it. Raises where it is not known."""
        for places, entries in self._looks:
            if len(places) == 1:
                ((root, name),) = places
                entry = entries.get((type(given[root].get(name, _GONE)),))
            else:
                entry = entries.get(tuple([type(given[root].get(name, _GONE)) for root, name in places]))
            if entry is not None:
                return entry(*given, True)
        raise Unusual


def _place(attribute: ir.Attribute) -> Place:
    assert isinstance(attribute.base, ir.Root)
    return _ROOTS.index(attribute.base.name), attribute.name
