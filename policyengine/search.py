"""Searches: every answer to a request that leaves the principal, the action or the resource open.

In: a snapshot and a request with a gap. Out: everything that the snapshot knows and `decide` would allow without an
obligation, in a stable order. The snapshot knows the entities of its source, the declared tools, and the actions. What
is known of an entity takes precedence over what the caller says of all candidates.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from heapq import merge
from itertools import islice
from typing import Any

from policyengine.bundle import Snapshot
from policyengine.model.request import Request, request
from policyengine.model.values import Fault
from policyengine.partial.formula import FALSE
from policyengine.partial.gap import Unknown
from policyengine.partial.predicate import predicate
from policyengine.schema.members import DELEGATED_BY
from policyengine.schema.mentions import Mentions
from policyengine.schema.misspelt_names import check_names

Flat = Mapping[str, Any]
# How many ids are sorted in one go.
SORTED = 5_000


def sought(type_: str, known: Any) -> Flat:
    """What is sought: a type, and what is known of all entities of it. If that is not an object, no entity matches."""
    if known is None:
        return {"type": type_}
    return {**known, "type": type_} if isinstance(known, Mapping) else {"type": None}


def principals(
    snapshot: Snapshot,
    sought: Flat,
    action: str | Flat,
    resource: Flat,
    context: Flat | None = None,
    *,
    after: str | None = None,
    limit: int | None = None,
    met: frozenset[str] = frozenset(),
) -> list[str]:
    """The ids of the known entities of the type `sought["type"]` that may do this, sorted; only those `after` an id,
    and at most `limit` of them. All of them have the other attributes in `sought`, unless the source says otherwise.
    `met` are the rules whose demand is met: approvals that were verified, limits that are metered. None for a malformed
    request."""
    return _ids(snapshot, "principal", sought, (sought, action, resource, context), after, limit, met)


def resources(
    snapshot: Snapshot,
    principal: Flat,
    action: str | Flat,
    sought: Flat,
    context: Flat | None = None,
    *,
    after: str | None = None,
    limit: int | None = None,
    met: frozenset[str] = frozenset(),
) -> list[str]:
    """The ids of the known entities of the type `sought["type"]` that this may be done to; otherwise as
    `principals`."""
    return _ids(snapshot, "resource", sought, (principal, action, sought, context), after, limit, met)


def actions(
    snapshot: Snapshot,
    principal: Flat,
    resource: Flat,
    context: Flat | None = None,
    *,
    after: str | None = None,
    limit: int | None = None,
    met: frozenset[str] = frozenset(),
) -> list[str]:
    """The names of the declared actions that the principal may do to the resource, sorted; otherwise as `principals`.
    Actions are requested without attributes."""
    decide = snapshot.evaluator.decide_met
    names = sorted(name for name in snapshot.schema.actions if after is None or name > after)
    allowed = (name for name in names if decide(principal, name, resource, context, met).allowed)
    return list(islice(allowed, limit))


def _ids(
    snapshot: Snapshot,
    unknown: Unknown,
    sought: Flat,
    parts: tuple[Any, Any, Any, Any],
    after: str | None,
    limit: int | None,
    met: frozenset[str],
) -> list[str]:
    try:
        asked = _with_gap(unknown, sought, parts)
        said = _with_gap(unknown, sought, parts, {**sought, "id": ""})
        check_names(said, Mentions(said, snapshot.schema), snapshot.schema)
    except Fault:
        return []
    return list(islice(_found(snapshot, unknown, asked, sought, after, met), limit))


def _with_gap(unknown: Unknown, sought: Flat, parts: tuple[Any, Any, Any, Any], said: Flat | None = None) -> Request:
    """The request with an entity of which only the type, or what `said` holds, is known. Raises Fault if it is
    malformed."""
    principal, action, resource, context = parts
    gap = said or {"type": sought.get("type"), "id": ""}
    if unknown == "principal":
        return request(gap, action, resource, context)
    return request(principal, action, gap, context)


def _found(
    snapshot: Snapshot, unknown: Unknown, asked: Request, sought: Flat, after: str | None, met: frozenset[str]
) -> Iterator[str]:
    type_ = (asked.principal if unknown == "principal" else asked.resource).uid.type
    formula = snapshot.partial.residual(asked, unknown, {}, (), met, from_source=True)
    if formula == FALSE:
        return
    described, told_apart = _mentioned(snapshot, unknown, asked, sought)
    records = snapshot.world.records.get(type_, {})
    matches = predicate(formula, type_, snapshot.world, unknown=unknown)
    ids = _in_order(snapshot, type_)
    for id_ in islice(ids, bisect_right(ids, after) if after is not None else 0, None):
        thing = {**sought, "type": type_, "id": id_, **records.get(id_, {})}
        # Who else must be allowed, whether anything is blocked, and what the request says of this entity depend on the
        # entity.
        delegating = unknown == "principal" and DELEGATED_BY in thing
        late = id_ in described or delegating or not snapshot.blocks.is_empty
        if late or not told_apart:
            allowed = _decided(snapshot, unknown, asked, {**sought, "type": type_, "id": id_}, met)
        else:
            allowed = matches(thing)
        if allowed:
            yield id_


def _mentioned(snapshot: Snapshot, unknown: Unknown, asked: Request, sought: Flat) -> tuple[frozenset[str], bool]:
    """The ids of the sought entities that the request mentions; and whether what is said of all sought entities
    mentions no other."""
    gap = asked.principal if unknown == "principal" else asked.resource
    mentioned = Mentions(asked, snapshot.schema)
    uids = {uid for part in (mentioned.own, mentioned.others) for uid in (*part.contents, *part.named)} - {gap.uid}
    places = {name for name, _ in snapshot.schema.places_of(gap.uid.type)}
    return frozenset(id_ for type_, id_ in uids if type_ == gap.uid.type), places.isdisjoint(sought)


def _decided(snapshot: Snapshot, unknown: Unknown, asked: Request, thing: Flat, met: frozenset[str]) -> bool:
    action: Any = {**asked.action.attributes, "name": asked.action.name}
    principal, resource = asked.principal.attributes, asked.resource.attributes
    if unknown == "principal":
        return snapshot.evaluator.decide_met(thing, action, resource, asked.context, met).allowed
    return snapshot.evaluator.decide_met(principal, action, thing, asked.context, met).allowed


def _in_order(snapshot: Snapshot, type_: str) -> list[str]:
    """The ids of all known entities of a type, sorted once, so that the cost of a page does not depend on their
    number."""
    ids = snapshot.world.ordered.get(type_)
    if ids is None:
        listed = known(snapshot, type_)
        # Other threads cannot run during a sort, but can while sorted runs are merged.
        runs = [sorted(listed[start : start + SORTED]) for start in range(0, len(listed), SORTED)]
        ids = snapshot.world.ordered[type_] = list(merge(*runs))
    return ids


def prepare(snapshot: Snapshot, types: Iterable[str]) -> None:
    """Sorts the known entities of these types in advance, which takes a moment if there are very many."""
    for type_ in types:
        _in_order(snapshot, type_)


def known(snapshot: Snapshot, type_: str) -> list[str]:
    """The ids of all entities of a type that the snapshot knows, including declared tools, each once."""
    records = snapshot.world.records.get(type_, {})
    tools = snapshot.schema.tools if type_ == "Tool" else ()
    return [*records, *(name for name in tools if name not in records)]
