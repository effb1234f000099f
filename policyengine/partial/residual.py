"""From policies and a request with a gap to what must be true of the unknown entity for the request to be allowed.

If the source knows an entity, its record takes precedence over what the entity says of itself. All of this holds for
the principal and for every agent that acts for it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from policyengine.bounded_cache import BoundedCache
from policyengine.diagnostics.source import Source
from policyengine.evaluate.delegation import actors
from policyengine.ir.nodes import Arguments, PolicySet
from policyengine.model.entities import PARENTS, World
from policyengine.model.request import Request
from policyengine.model.types import BOOL, STRING
from policyengine.model.values import Entity, Fault, Uid
from policyengine.partial.atoms import one_of
from policyengine.partial.caller_mentions import looks_above, may_be, widened
from policyengine.partial.conditions import condition
from policyengine.partial.formula import FALSE, ID, TRUE, Formula, Relation, Sourced
from policyengine.partial.formula_skeleton import fill, lowering_for
from policyengine.partial.gap import Gap, Reads, Unknown
from policyengine.partial.gap_caller import GapCaller
from policyengine.partial.hierarchy import Hierarchy
from policyengine.partial.logic import conj, disj
from policyengine.partial.lowered_rules import LoweredRules
from policyengine.partial.residual_text import explained
from policyengine.partial.resource_classes import ResourceClasses
from policyengine.partial.specialise import Actor
from policyengine.schema.applicability import not_applicable
from policyengine.schema.mentions import Mentions
from policyengine.schema.schema import CALL, TOOL, Schema

# As many entities of the source are looked at one by one before the formula is put together; more when they come up.
MAX_RECORDS = 32
# The most gaps that are remembered, each with the lowered rules.
MAX_GAPS = 200
_AS_DECLARED = Source("", "the arguments are those that the tool declares")


class Partial:
    """Answers for a snapshot when part of a request is unknown. Remembers what it learns about the policies."""

    def __init__(self, policies: PolicySet, schema: Schema, world: World) -> None:
        self._policies = policies
        self._schema = schema
        self._world = world
        self._hierarchy = Hierarchy(world)
        self._reads = Reads()
        self._tools = tuple((name, tool.args) for name, tool in sorted(schema.tools.items()))
        self._alike: dict[tuple[str, str], ResourceClasses] = {}
        # Two threads that compute the same key get equal results.
        self._gaps: BoundedCache[Any, Gap] = BoundedCache(MAX_GAPS)
        self._lowered: BoundedCache[Any, LoweredRules] = BoundedCache(MAX_GAPS)

    def prepare(self, earlier: Partial) -> None:
        """Finds the rules for everything that filters and searches of the earlier policies asked about."""
        for unknown, principal, action, resource, known in list(earlier._lowered):
            gap = self._gap(unknown, principal, resource, known)
            if not_applicable(self._schema, principal, action, resource) is None:
                self._lowered[unknown, principal, action, resource, known] = LoweredRules(self._policies, action, gap)

    def residual(
        self,
        request: Request,
        unknown: Unknown,
        known: Mapping[str, Any],
        fulfilled: Collection[str] = (),
        approved: Collection[str] = (),
        from_source: bool = False,
        mentioned: Mentions | None = None,
    ) -> Formula:
        """What must be true of the unknown entity. `known` are attributes of it that are certain. What the entity
        source says of an entity wins over what the entity says of itself; with `from_source` it says nothing else.
        `mentioned` are the mentions in the request, where they have been collected."""
        type_ = _sought(request, unknown).uid.type
        records = {} if from_source else self._world.records.get(type_, {})

        if unknown == "resource" and mentioned is None:
            mentioned = Mentions(request, self._schema)
        said = mentioned.own.said if mentioned is not None else {}

        def of(known: Mapping[str, Any], id_: str = "") -> Formula:
            about = _with(request, unknown, known, id_)
            of_this = Mentions(about, self._schema) if mentioned is None else mentioned.of(about)
            return self._allowed(about, unknown, known, fulfilled, approved, said, of_this)

        def of_record(id_: str) -> Formula:
            return of({**known, **records[id_], "id": id_})

        ids = frozenset([uid.id for uid in said if uid.type == type_])
        if "id" in known:
            return may_be(of_record(known["id"]) if known["id"] in records else of(known), ids, known["id"])
        # No entity of the source has the id of the gap.
        whole = may_be(of(known, _unused(records)), ids, None)
        if not records:
            return whole
        if len(records) > MAX_RECORDS:
            sourced: Formula = Sourced(frozenset(records), of_record)
        else:
            sourced = disj(*(conj(Relation(ID, STRING, "==", id_), of_record(id_)) for id_ in records))
        return disj(conj(one_of(ID, STRING, records, True), whole), sourced)

    def mentions(self, request: Request) -> Mentions:
        """The mentions in the request, for several questions about it."""
        return Mentions(request, self._schema)

    def named(
        self,
        request: Request,
        known: Mapping[str, Any],
        fulfilled: Collection[str],
        approved: Collection[str],
        mentioned: Mentions,
    ) -> list[tuple[Gap, GapCaller]] | None:
        """Everybody who has to be allowed, for a resource of which this is known; None where nobody is."""
        about = _with(request, "resource", known, "")
        try:
            return list(self._actors(about, "resource", known, fulfilled, approved, mentioned.of(about)))
        except Fault:
            return None

    def allowed(self, questions: Iterable[tuple[Gap, GapCaller]]) -> Formula:
        """What must be true of the resource for each of them to be allowed, whatever a tool declares."""
        return conj(*[self._allowed_for(gap, caller)[0] for gap, caller in questions])

    def record(self, type_: str, id_: str) -> Mapping[str, Any] | None:
        """What the entity source says of a resource."""
        return self._world.records.get(type_, {}).get(id_)

    def alike(self, action: str, type_: str) -> ResourceClasses:
        """What tells resources of the type apart, of which nothing is said but their names."""
        known = self._alike.get((action, type_))
        if known is None:
            known = ResourceClasses(self._policies, self._schema, self._world, self._reads, action, type_)
            self._alike[action, type_] = known
        return known

    def explain(
        self, request: Request, unknown: Unknown, known: Mapping[str, Any], approved: Collection[str], said: str
    ) -> str:
        """What is left of the policies for the request with this gap, as `.pol`; `said` is its first line."""
        records = self._world.records.get(_sought(request, unknown).uid.type, {})
        known = {**known, **records.get(known.get("id", ""), {})}
        asked = _with(request, unknown, known, _unused(records))
        try:
            everyone = self._actors(asked, unknown, known, (), approved, Mentions(asked, self._schema))
            actors = [Actor(*each) for each in everyone]
        except Fault as fault:
            return f"# {said}\n# {fault.message}\n"
        return explained(self._policies, self._schema, actors, approved, said)

    def _allowed(
        self,
        request: Request,
        unknown: Unknown,
        known: Mapping[str, Any],
        fulfilled: Collection[str],
        approved: Collection[str],
        said: Mapping[Uid, list[Any]],
        mentioned: Mentions,
    ) -> Formula:
        try:
            actors = list(self._actors(request, unknown, known, fulfilled, approved, mentioned))
        except Fault:
            return FALSE
        declared = self._as_declared(*actors[0])
        if len(actors) == 1 and declared is TRUE:
            formula, above = self._allowed_for(*actors[0])
        else:
            formulas = [self._allowed_for(gap, caller) for gap, caller in actors]
            formula = conj(*[each for each, _ in formulas], declared)
            above = looks_above(declared) or any(looks for _, looks in formulas)
        if not above:
            return formula
        asked = actors[0][1].request
        if said and (asked.principal is not request.principal or asked.context is not request.context):
            # What was said in several places has been put together.
            said = Mentions(asked, self._schema).own.said
        placed = [Entity(uid, contents[0]) for uid, contents in said.items() if PARENTS in contents[0]]
        return widened(formula, placed, self._world.ancestors) if placed else formula

    def _as_declared(self, gap: Gap, caller: GapCaller) -> Formula:
        """What a call of a declared tool has to carry, whatever the rules say."""
        request = caller.request
        tools = self._tools if request.action.name == CALL else ()
        if "id" in gap.known:
            # Of a tool whose name is known nothing else is declared than what it takes itself.
            one = self._schema.tools.get(request.resource.uid.id) if tools else None
            tools = () if one is None else ((request.resource.uid.id, one.args),)
        if gap.resource != TOOL or not (tools or "provenance" in request.context):
            return TRUE
        expr = Arguments(tools=tools, type=BOOL, span=_AS_DECLARED.span(0, len(_AS_DECLARED.text)))
        return fill(condition(expr, lowering_for(gap, caller)).true, caller)

    def _actors(
        self,
        request: Request,
        unknown: Unknown,
        known: Mapping[str, Any],
        fulfilled: Collection[str],
        approved: Collection[str],
        mentioned: Mentions,
    ) -> Iterable[tuple[Gap, GapCaller]]:
        """The principal and every agent that acts for it, each as the one who asks. Raises Fault as `actors` does."""
        everyone = actors(request, self._world, self._schema, mentioned)
        for number, actor in enumerate(everyone):
            asked = _without_gap(actor, request, unknown, known)
            # Where the principal is sought, nothing about its agents is unknown.
            sought: Unknown = unknown if not number or unknown == "resource" else "nothing"
            names = frozenset(known if sought != "nothing" else ())
            gap = self._gap(sought, asked.principal.uid.type, asked.resource.uid.type, names)
            yield gap, GapCaller(asked, self._world, fulfilled, approved)

    def _gap(self, unknown: Unknown, principal: str, resource: str, known: frozenset[str]) -> Gap:
        key = (unknown, principal, resource, known)
        gap: Gap | None = self._gaps.get(key)
        if gap is None:
            gap = self._gaps[key] = Gap(*key, self._world, self._hierarchy, self._reads)
        return gap

    def _allowed_for(self, gap: Gap, caller: GapCaller) -> tuple[Formula, bool]:
        """What must be true of the unknown entity for one of them; and whether that may look at a hierarchy."""
        action = caller.request.action.name
        if not_applicable(self._schema, gap.principal, action, gap.resource) is not None:
            return FALSE, False
        key = (gap.unknown, gap.principal, action, gap.resource, gap.known)
        lowered: LoweredRules | None = self._lowered.get(key)
        if lowered is None:
            lowered = self._lowered[key] = LoweredRules(self._policies, action, gap)
        return lowered.formula(caller)


def _sought(request: Request, unknown: Unknown) -> Entity:
    return request.resource if unknown == "resource" else request.principal


def _without_gap(asked: Request, request: Request, unknown: Unknown, known: Collection[str]) -> Request:
    """The request as it was put together, but with no more in its gap than is known there."""
    gap, there = _sought(request, unknown), _sought(asked, unknown)
    if there.uid != gap.uid or there.attributes is gap.attributes:
        return asked
    entity = Entity(gap.uid, {name: value for name, value in there.attributes.items() if name in gap.attributes})
    return replace(asked, resource=entity) if unknown == "resource" else replace(asked, principal=entity)


def _with(request: Request, unknown: Unknown, known: Mapping[str, Any], id_: str) -> Request:
    """The request, with an entity in the gap that has what is known of the unknown one."""
    entity = Entity(Uid(_sought(request, unknown).uid.type, known.get("id", id_)), known)
    if unknown == "principal":
        return Request(entity, request.action, request.resource, request.context)
    return Request(request.principal, request.action, entity, request.context)


def _unused(records: Mapping[str, Any]) -> str:
    """An id that no record has."""
    return "-" * (1 + max(map(len, records))) if records else "-"
