"""From policies and a request with a gap to what must be true of the unknown entity for the request to be allowed.

If the source knows an entity, its record takes precedence over the entity's own attributes. The formula covers the
principal and every agent that acts for it.
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

# Up to this many entities of the source are evaluated before the formula is built; others when they come up.
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
        """Finds the rules for all filters and searches that the earlier policies were asked for."""
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
        """What must be true of the unknown entity. `known` are attributes of it that are certain. The entity source's
        record of an entity takes precedence over the entity's own attributes; with `from_source` only the record
        counts. `mentioned` are the mentions in the request, if they have been collected."""
        type_ = _sought(request, unknown).uid.type
        records = {} if from_source else self._world.records.get(type_, {})

        if unknown == "resource" and mentioned is None:
            mentioned = Mentions(request, self._schema)
        contents = mentioned.own.contents if mentioned is not None else {}

        def of(known: Mapping[str, Any], id_: str = "") -> Formula:
            about = _with(request, unknown, known, id_)
            of_this = Mentions(about, self._schema) if mentioned is None else mentioned.of(about)
            return self._allowed(about, unknown, known, fulfilled, approved, contents, of_this)

        def of_record(id_: str) -> Formula:
            return of({**known, **records[id_], "id": id_})

        ids = frozenset([uid.id for uid in contents if uid.type == type_])
        if "id" in known:
            return may_be(of_record(known["id"]) if known["id"] in records else of(known), ids, known["id"])
        # No entity of the source has the id that stands for the gap.
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
        """Everybody who must be allowed, for a resource with these known attributes; None if the request is refused."""
        about = _with(request, "resource", known, "")
        try:
            return list(self._actors(about, "resource", known, fulfilled, approved, mentioned.of(about)))
        except Fault:
            return None

    def allowed(self, questions: Iterable[tuple[Gap, GapCaller]]) -> Formula:
        """What must be true of the resource for each of them to be allowed, regardless of what a tool declares."""
        return conj(*[self._allowed_for(gap, caller)[0] for gap, caller in questions])

    def record(self, type_: str, id_: str) -> Mapping[str, Any] | None:
        """The entity source's record of a resource."""
        return self._world.records.get(type_, {}).get(id_)

    def alike(self, action: str, type_: str) -> ResourceClasses:
        """What distinguishes resources of the type if only their ids are known."""
        known = self._alike.get((action, type_))
        if known is None:
            known = ResourceClasses(self._policies, self._schema, self._world, self._reads, action, type_)
            self._alike[action, type_] = known
        return known

    def explain(
        self, request: Request, unknown: Unknown, known: Mapping[str, Any], approved: Collection[str], first_line: str
    ) -> str:
        """What remains of the policies for the request with this gap, as `.pol`; `first_line` is its first line."""
        records = self._world.records.get(_sought(request, unknown).uid.type, {})
        known = {**known, **records.get(known.get("id", ""), {})}
        with_gap = _with(request, unknown, known, _unused(records))
        try:
            everyone = self._actors(with_gap, unknown, known, (), approved, Mentions(with_gap, self._schema))
            actors = [Actor(*each) for each in everyone]
        except Fault as fault:
            return f"# {first_line}\n# {fault.message}\n"
        return explained(self._policies, self._schema, actors, approved, first_line)

    def _allowed(
        self,
        request: Request,
        unknown: Unknown,
        known: Mapping[str, Any],
        fulfilled: Collection[str],
        approved: Collection[str],
        mention_contents: Mapping[Uid, list[Any]],
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
        merged = actors[0][1].request
        if mention_contents and (merged.principal is not request.principal or merged.context is not request.context):
            # Statements at several places have been merged.
            mention_contents = Mentions(merged, self._schema).own.contents
        placed = [Entity(uid, contents[0]) for uid, contents in mention_contents.items() if PARENTS in contents[0]]
        return widened(formula, placed, self._world.ancestors) if placed else formula

    def _as_declared(self, gap: Gap, caller: GapCaller) -> Formula:
        """What a call of a declared tool must meet, whatever the rules say."""
        request = caller.request
        tools = self._tools if request.action.name == CALL else ()
        if "id" in gap.known:
            # A tool whose id is known has only its own declaration.
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
            with_gap = _without_gap(actor, request, unknown, known)
            # If the principal is sought, nothing about its agents is unknown.
            sought: Unknown = unknown if not number or unknown == "resource" else "nothing"
            names = frozenset(known if sought != "nothing" else ())
            gap = self._gap(sought, with_gap.principal.uid.type, with_gap.resource.uid.type, names)
            yield gap, GapCaller(with_gap, self._world, fulfilled, approved)

    def _gap(self, unknown: Unknown, principal: str, resource: str, known: frozenset[str]) -> Gap:
        key = (unknown, principal, resource, known)
        gap: Gap | None = self._gaps.get(key)
        if gap is None:
            gap = self._gaps[key] = Gap(*key, self._world, self._hierarchy, self._reads)
        return gap

    def _allowed_for(self, gap: Gap, caller: GapCaller) -> tuple[Formula, bool]:
        """What must be true of the unknown entity for one actor; and whether it may test a hierarchy."""
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
    """The merged request, with nothing in its gap but the known attributes."""
    if asked is request:
        return asked
    gap, there = _sought(request, unknown), _sought(asked, unknown)
    if there.uid != gap.uid or there.attributes is gap.attributes:
        return asked
    entity = Entity(gap.uid, {name: value for name, value in there.attributes.items() if name in gap.attributes})
    return replace(asked, resource=entity) if unknown == "resource" else replace(asked, principal=entity)


def _with(request: Request, unknown: Unknown, known: Mapping[str, Any], id_: str) -> Request:
    """The request, with an entity in the gap that has the known attributes."""
    entity = Entity(Uid(_sought(request, unknown).uid.type, known.get("id", id_)), known)
    if unknown == "principal":
        return Request(entity, request.action, request.resource, request.context)
    return Request(request.principal, request.action, entity, request.context)


def _unused(records: Mapping[str, Any]) -> str:
    """An id that no record has."""
    return "-" * (1 + max(map(len, records))) if records else "-"
