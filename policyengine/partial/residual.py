"""Policies and a request with a gap, to what must be true of the unknown entity for the request to be allowed.

The same steps as deciding (`evaluate/decide.py`, `evaluate/combine.py`), with formulas in the place of verdicts:

    some permit is true
    every forbid is false                      one that errs denies
    every limit is false, or metered           one that errs denies
    every required approval is false or given  one that errs demands it
    what is owed can be told, and is among what the caller fulfils

and all of this for the principal and for every agent that acts for it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from policyengine.diagnostics.source import Source
from policyengine.evaluate.arguments import declared_tools
from policyengine.evaluate.decide import not_applicable
from policyengine.evaluate.delegation import chain
from policyengine.ir.nodes import Arguments, PolicySet, Rule
from policyengine.model.entities import PARENTS, World
from policyengine.model.request import Request
from policyengine.model.types import BOOL, STRING
from policyengine.model.values import Entity, Fault, Uid
from policyengine.partial.above import Above
from policyengine.partial.asking import Asking, Reads, Unknown
from policyengine.partial.atoms import one_of
from policyengine.partial.candidates import Names, kinds
from policyengine.partial.conditions import condition
from policyengine.partial.explain import explained
from policyengine.partial.facts import Facts
from policyengine.partial.formula import FALSE, ID, TRUE, Formula, Relation, Sourced
from policyengine.partial.hierarchy import Hierarchy
from policyengine.partial.logic import conj, disj
from policyengine.partial.rules import combined
from policyengine.partial.shape import Shape
from policyengine.schema.schema import CALL, TOOL, Schema

# As many entities of the source are looked at one by one before the formula is put together; more when they come up.
MAX_RECORDS = 32
# So many shapes of requests are remembered, by their types and by what is known of the resource.
MAX_SHAPES = 1_000
# What only one entity can have.
_AS_DECLARED = Source("", "the arguments are those that the tool declares")
_ONE = frozenset({"id", PARENTS})


class Partial:
    """What answers for a snapshot when part of a request is unknown. Remembers what it finds out about the policies."""

    def __init__(self, policies: PolicySet, schema: Schema, world: World) -> None:
        self._policies = policies
        self._schema = schema
        self._world = world
        self._hierarchy = Hierarchy(world)
        self._reads = Reads()
        self._required: dict[str, frozenset[str]] = {}
        self._over = Above(world)
        self._rules: dict[Names, tuple[list[Rule], list[Rule]]] = {}
        self._shapes: dict[tuple[Names, frozenset[str]], Shape] = {}

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
        type_ = (request.resource if unknown == "resource" else request.principal).uid.type
        records = {} if from_source else self._world.records.get(type_, {})

        def of(known: Mapping[str, Any], id_: str = "") -> Formula:
            asking = self._asking(request, unknown, type_, known, id_)
            return self._allowed(asking, fulfilled, approved)

        def of_record(id_: str) -> Formula:
            return of({**known, **records[id_], "id": id_})

        if "id" in known:
            return of_record(known["id"]) if known["id"] in records else of(known)
        # No entity of the source has the id of the gap.
        whole = of(known, _unused(records))
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
        whole = conj(self._allowed_for(asking, fulfilled, approved), self._as_declared(asking))
        return conj(whole, *(self._allowed_for(one, fulfilled, approved) for one in self._of_agents(asking, agents)))

    def _as_declared(self, asking: Asking) -> Formula:
        """What a call of a declared tool has to carry, whatever the rules say."""
        request = asking.request
        tools = declared_tools(self._schema) if request.action.name == CALL else ()
        if request.resource.uid.type != TOOL or not (tools or "provenance" in request.context):
            return TRUE
        return condition(
            Arguments(tools=tools, type=BOOL, span=_AS_DECLARED.span(0, len(_AS_DECLARED.text))), asking
        ).true

    def explain(
        self, request: Request, unknown: Unknown, known: Mapping[str, Any], approved: Collection[str], said: str
    ) -> str:
        """What is left of the policies for the request with this gap, as `.pol`; `said` is its first line."""
        type_ = (request.resource if unknown == "resource" else request.principal).uid.type
        records = self._world.records.get(type_, {})
        known = {**known, **records.get(known.get("id", ""), {})}
        asking = self._asking(request, unknown, type_, known, _unused(records))
        try:
            agents = chain(request, self._world, self._schema)
        except Fault as fault:
            return f"# {said}\n# {fault.message}\n"
        actors = [asking, *self._of_agents(asking, agents)]
        return explained(self._policies, self._schema, actors, approved, said)

    def _asking(self, request: Request, unknown: Unknown, type_: str, known: Mapping[str, Any], id_: str) -> Asking:
        """With this much known of the unknown entity."""
        entity = Entity(Uid(type_, known.get("id", id_)), known)
        if unknown == "principal":
            asked = Request(entity, request.action, request.resource, request.context)
        else:
            asked = Request(request.principal, request.action, entity, request.context)
        return Asking(asked, unknown, self._world, self._hierarchy, self._reads, known)

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
        # What is asked of an unknown principal cannot be looked up, and of one entity little is left to ask.
        if asking.unknown != "resource" or not asking.known.keys().isdisjoint(_ONE):
            return self._slowly(names, asking, fulfilled, approved)
        key = (names, frozenset(asking.known))
        shape = self._shapes.get(key)
        if shape is None:
            if len(self._shapes) >= MAX_SHAPES:
                self._shapes.clear()
            shape = self._shapes[key] = Shape(self._policies, names, asking)
        return shape.formula(Facts(asking, self._over, fulfilled, approved))

    def _slowly(self, names: Names, asking: Asking, fulfilled: Collection[str], approved: Collection[str]) -> Formula:
        rules = self._rules.get(names)
        if rules is None:
            rules = self._rules[names] = kinds(self._policies, names)
        return combined(*rules, asking, fulfilled, approved)


def _unused(records: Mapping[str, Any]) -> str:
    """An id that none of the records has."""
    return "-" * (1 + max(map(len, records), default=0))
