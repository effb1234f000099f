"""Policies and a request with a gap, to what must be true of the unknown entity for the request to be allowed.

The same steps as deciding (`evaluate/decide.py`, `evaluate/combine.py`), with formulas in the place of verdicts:

    some permit is true
    every forbid is false                      one that errs denies
    every limit has a value                    one that errs denies
    every required approval is false or given  one that errs demands it
    what is owed can be told, and is among what the caller fulfils

and all of this for the principal and for every agent that acts for it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from policyengine.evaluate.decide import not_applicable
from policyengine.evaluate.delegation import chain
from policyengine.evaluate.interpret import EvaluationError, in_scope
from policyengine.ir.nodes import Head, PolicySet, Rule, Scope
from policyengine.model.entities import World
from policyengine.model.request import Request
from policyengine.model.types import STRING
from policyengine.model.values import Entity, Fault, Uid
from policyengine.partial.asking import Asking, Reads, Unknown
from policyengine.partial.candidates import Names, Prepared, prepared
from policyengine.partial.conditions import condition, defined
from policyengine.partial.formula import FALSE, ID, TRUE, Formula, Relation, Sourced
from policyengine.partial.hierarchy import Hierarchy
from policyengine.partial.logic import conj, disj, one_of
from policyengine.partial.outcome import ALWAYS, ERRS, NEVER, Outcome, both
from policyengine.partial.within import among, inside_of
from policyengine.schema.schema import Schema

# As many entities of the source are looked at one by one before the formula is put together; more when they come up.
MAX_RECORDS = 32


class Partial:
    """What answers for a snapshot when part of a request is unknown. Remembers what it finds out about the policies."""

    def __init__(self, policies: PolicySet, schema: Schema, world: World) -> None:
        self._policies = policies
        self._schema = schema
        self._world = world
        self._hierarchy = Hierarchy(world)
        self._reads = Reads()
        self._prepared: dict[Names, Prepared] = {}

    def residual(
        self,
        request: Request,
        unknown: Unknown,
        known: Mapping[str, Any],
        fulfilled: Collection[str] = (),
        approved: Collection[str] = (),
        from_source: bool = False,
    ) -> Formula:
        """What must be true of the unknown entity. `known` are attributes of it that are certain. What the entity
        source says of an entity wins over what the entity says of itself; with `from_source` it says nothing else."""
        asking = Asking(request, unknown, self._world, self._hierarchy, self._reads, known)
        records = {} if from_source else self._world.records.get(asking.type, {})

        def of(asking: Asking) -> Formula:
            return self._allowed(asking, fulfilled, approved)

        def of_record(id_: str) -> Formula:
            return of(_known(asking, {**known, **records[id_], "id": id_}))

        if "id" in known:
            return of_record(known["id"]) if known["id"] in records else of(_known(asking, known))
        # No entity of the source has the id of the gap.
        whole = of(_known(asking, known, _unused(records)))
        if not records:
            return whole
        if len(records) > MAX_RECORDS:
            sourced: Formula = Sourced(frozenset(records), of_record)
        else:
            sourced = disj(*(conj(Relation(ID, STRING, "==", id_), of_record(id_)) for id_ in records))
        return disj(conj(one_of(ID, STRING, records, True), whole), sourced)

    def _allowed(self, asking: Asking, fulfilled: Collection[str], approved: Collection[str]) -> Formula:
        try:
            agents = chain(asking.request, self._world, self._schema)
        except Fault:
            return FALSE
        return conj(
            *(self._allowed_for(one, fulfilled, approved) for one in (asking, *self._of_agents(asking, agents)))
        )

    def _of_agents(self, asking: Asking, agents: Iterable[Entity]) -> Iterable[Asking]:
        for agent in agents:
            gap: Unknown = asking.unknown if asking.unknown == "resource" else "nothing"
            known = asking.known if gap == "resource" else {}
            yield replace(asking, request=replace(asking.request, principal=agent), unknown=gap, known=known)

    def _allowed_for(self, asking: Asking, fulfilled: Collection[str], approved: Collection[str]) -> Formula:
        request = asking.request
        names = request.principal.uid.type, request.action.name, request.resource.uid.type
        if not_applicable(self._schema, *names) is not None:
            return FALSE
        rules = self._prepared.get(names)
        if rules is None:
            rules = self._prepared[names] = prepared(self._policies, names)
        # What is asked of an unknown principal cannot be looked up.
        if asking.unknown == "principal":
            permits, others = rules.permits.every(), rules.others.every()
        else:
            permits, others = rules.permits.of(asking), rules.others.of(asking)
        granted = disj(*(applies(rule, asking).true for rule in permits))
        if granted == FALSE:
            return FALSE
        return conj(granted, *(_passes(rule, asking, fulfilled, approved) for rule in others))


def _passes(rule: Rule, asking: Asking, fulfilled: Collection[str], approved: Collection[str]) -> Formula:
    """When a rule that is no permit leaves the request allowed."""
    found = applies(rule, asking)
    if rule.kind == "limit":
        return found.defined
    if rule.kind == "forbid":
        return found.false
    if rule.demands_approval:
        # Its other obligations are part of the approval.
        return TRUE if rule.name in approved else found.false
    if any(spec.type not in fulfilled for spec in rule.obligations):
        return found.false
    told = conj(*(defined(expr, asking) for spec in rule.obligations for _, expr in spec.properties))
    return disj(found.false, told)


def applies(rule: Rule, asking: Asking) -> Outcome:
    """The outcome of a rule: its scope, then its condition."""
    scope = _scope(rule.head, asking)
    if scope in (NEVER, ERRS):
        return scope
    return both([scope, condition(rule.condition, asking)])


def _scope(head: Head, asking: Asking) -> Outcome:
    request = asking.request
    for scope, entity in ((head.resource, request.resource), (head.principal, request.principal)):
        if scope.types is not None and entity.uid.type not in scope.types:
            return NEVER
    parts = [_part(head.resource, asking, "resource"), _part(head.principal, asking, "principal")]
    return both(parts)


def _part(scope: Scope, asking: Asking, place: Unknown) -> Outcome:
    """Whether the entity in this place is among those that a head names."""
    if asking.unknown != place:
        return _settled(scope, asking, place)
    parts = []
    if scope.entities is not None:
        parts.append(among(scope.entities, asking))
    if scope.within is not None:
        parts.append(inside_of(scope.within, asking, itself_first=True))
    return both(parts)


def _settled(scope: Scope, asking: Asking, place: Unknown) -> Outcome:
    anything = Scope()
    head = Head(None, scope, anything) if place == "resource" else Head(None, anything, scope)
    try:
        return ALWAYS if in_scope(head, asking.env) else NEVER
    except EvaluationError:
        return ERRS


def _known(asking: Asking, known: Mapping[str, Any], id_: str = "") -> Asking:
    """With this much known of the unknown entity."""
    entity = Entity(Uid(asking.type, known.get("id", id_)), known)
    if asking.unknown == "principal":
        return replace(asking, known=known, request=replace(asking.request, principal=entity))
    return replace(asking, known=known, request=replace(asking.request, resource=entity))


def _unused(records: Mapping[str, Any]) -> str:
    """An id that none of the records has."""
    return "-" * (1 + max(map(len, records), default=0))
