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
from policyengine.ir.nodes import PolicySet
from policyengine.model.entities import World
from policyengine.model.request import Request
from policyengine.model.types import STRING
from policyengine.model.values import Entity, Fault, Uid
from policyengine.partial.asking import Asking, Reads, Unknown
from policyengine.partial.candidates import Names, Prepared, prepared
from policyengine.partial.explain import explained
from policyengine.partial.formula import FALSE, ID, Formula, Relation, Sourced
from policyengine.partial.hierarchy import Hierarchy
from policyengine.partial.logic import conj, disj, one_of
from policyengine.partial.memory import Memory
from policyengine.partial.rules import combined
from policyengine.schema.schema import Schema

# As many entities of the source are looked at one by one before the formula is put together; more when they come up.
MAX_RECORDS = 32
# So many selections of rules are remembered.
MAX_SELECTIONS = 1_000


class Partial:
    """What answers for a snapshot when part of a request is unknown. Remembers what it finds out about the policies."""

    def __init__(self, policies: PolicySet, schema: Schema, world: World) -> None:
        self._policies = policies
        self._schema = schema
        self._world = world
        self._hierarchy = Hierarchy(world)
        self._reads = Reads()
        self._required: dict[str, frozenset[str]] = {}
        self._prepared: dict[Names, Prepared] = {}
        self._memory: dict[tuple[Any, ...], Memory] = {}

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

    def required(self, type_: str) -> frozenset[str]:
        """The attributes that the schema requires of entities of the type."""
        known = self._required.get(type_)
        if known is None:
            declared = self._schema.entities.get(type_)
            if declared is None:
                return frozenset()
            known = frozenset(name for name, field in declared.attributes.items() if not field.optional)
            self._required[type_] = known
        return known

    def _allowed(self, asking: Asking, fulfilled: Collection[str], approved: Collection[str]) -> Formula:
        try:
            agents = chain(asking.request, self._world, self._schema)
        except Fault:
            return FALSE
        return conj(
            *(self._allowed_for(one, fulfilled, approved) for one in (asking, *self._of_agents(asking, agents)))
        )

    def explain(
        self, request: Request, unknown: Unknown, known: Mapping[str, Any], approved: Collection[str], said: str
    ) -> str:
        """What is left of the policies for the request with this gap, as `.pol`; `said` is its first line."""
        asking = Asking(request, unknown, self._world, self._hierarchy, self._reads, known)
        records = self._world.records.get(asking.type, {})
        asking = _known(asking, {**known, **records.get(known.get("id", ""), {})}, _unused(records))
        try:
            agents = chain(request, self._world, self._schema)
        except Fault as fault:
            return f"# {said}\n# {fault.message}\n"
        actors = [asking, *self._of_agents(asking, agents)]
        return explained(self._policies, self._schema, actors, approved, said)

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
        # What is asked of an unknown principal cannot be looked up; with nothing unknown, nothing has to be remembered.
        if asking.unknown != "resource":
            return combined(rules.permits.every(), rules.others.every(), asking, fulfilled, approved)
        permits, others = rules.permits.of(asking), rules.others.of(asking)
        if asking.known.keys() - {"type"}:
            return combined(
                [*rules.permits.always, *permits], [*rules.others.always, *others], asking, fulfilled, approved
            )
        key = (names, *map(id, permits), None, *map(id, others))
        memory = self._memory.get(key)
        if memory is None:
            if len(self._memory) >= MAX_SELECTIONS:
                self._memory.clear()
            memory = Memory([*rules.permits.always, *permits], [*rules.others.always, *others], asking)
            self._memory[key] = memory
        return memory.formula(asking, fulfilled, approved)


def _known(asking: Asking, known: Mapping[str, Any], id_: str = "") -> Asking:
    """With this much known of the unknown entity."""
    entity = Entity(Uid(asking.type, known.get("id", id_)), known)
    if asking.unknown == "principal":
        return replace(asking, known=known, request=replace(asking.request, principal=entity))
    return replace(asking, known=known, request=replace(asking.request, resource=entity))


def _unused(records: Mapping[str, Any]) -> str:
    """An id that none of the records has."""
    return "-" * (1 + max(map(len, records), default=0))
