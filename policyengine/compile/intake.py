"""The function that takes a request and returns the decision about it.

In: the entry code for the rules of one shape. Out: one callable. If the checks in C are built, they take the request
apart and generated code continues; otherwise generated code does all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

from policyengine.compile.actors import Actors
from policyengine.compile.ancestors import AncestorLookup
from policyengine.compile.codegen import ROOTS
from policyengine.compile.entry import EntryWays, Way, entry_tree
from policyengine.compile.hierarchy import wanted
from policyengine.compile.hoist import HoistedRead
from policyengine.compile.prepare import Rows
from policyengine.compile.pyfunction import function, module
from policyengine.compile.runtime import NAMES, Unusual, ordered_strings, strings
from policyengine.ir import nodes as ir
from policyengine.model.decision import Decision
from policyengine.model.entities import World
from policyengine.model.types import BOOL, INT, NUMBER, STRING, ListT, SetT, Type
from policyengine.schema.members import agent_types, delegators

# Takes a principal, a resource and a context or None, and perhaps the action's attributes and the names of approvals
# or None. Gives the decision for all who must be allowed. Raises where anything is unusual or not remembered yet.
Entry = Callable[..., Decision]
# Whether the arguments of a tool are in order: takes a resource and a context or None.
Check = Callable[[Any, Any], bool]

# What `native/intake.c` can pass on, in its order, and how many values it reads at most.
PARTS = (
    "principal", "resource", "context", "pid", "rid", "known_principal", "known_resource", "attributes", "approved"
)  # fmt: skip
LIMIT = 64
# How it names a type, and what it gives a value to that does not plainly fit.
KINDS: Mapping[Type, tuple[str, Callable[[Any], Any] | None]] = {
    STRING: ("s", None),
    BOOL: ("b", None),
    INT: ("i", None),
    NUMBER: ("n", None),
    SetT(STRING): ("l", strings),
    ListT(STRING): ("l", ordered_strings),
}


def entry(
    ways: EntryWays,
    world: World,
    env: Mapping[str, Any],
    native: ModuleType | None,
    actors: Actors,
    check: Check | None = None,
    spare: Entry | None = None,
) -> Entry:
    """`spare` is asked about requests of which only the outline is in order, with all that is given. `env` has the
    world, what `references.functions` makes of it, `outcomes` (decisions by mask, a list where there are few) and
    `decisions` (by mask and hits)."""
    env = {**env, "approve": actors.derived.approve, "known_context": actors.harmless.context}
    env |= {f"members_{root}": actors.harmless.members(ways.site.type_of(root)) for root in ROOTS}
    env |= {"single": actors.look.single}
    if ways.apart is not None:
        env |= {"refers": ways.apart.refers, "roots": ways.apart.roots}
    rows_by_root = {root: _rows(ways, root, world) for root in ROOTS}
    if native is not None and _size(ways) <= LIMIT:
        return _native(ways, rows_by_root, {**env, **ways.constants}, native, actors, check, spare)
    rows = {f"rows_{root}": rows.made for root, rows in rows_by_root.items() if rows is not None}
    find = {f"find_{root}": rows.find for root, rows in rows_by_root.items() if rows is not None}
    tree = entry_tree(ways, spare is not None)
    made = function(tree, {**env, "together": actors.together, "spare": spare, **ways.constants, **rows, **find})
    made.__defaults__ = (NAMES["nothing"], None, False)
    whole: Entry = made
    return whole if check is None else _checked(whole, check)


def _checked(entry: Entry, check: Check) -> Entry:
    def decide(principal: Any, resource: Any, context: Any, *rest: Any) -> Decision:
        if not check(resource, context):
            raise Unusual
        return entry(principal, resource, context, *rest)

    return decide


def _rows(ways: EntryWays, root: str, world: World) -> Rows | None:
    items = ways.prepared.items[root]
    return Rows(root, items, ways.site.type_of(root), ways.site.action, world) if ways.named and items else None


def _size(ways: EntryWays) -> int:
    rows = sum(len(ways.prepared.items[root]) for root in ROOTS)
    return max(len(way.lookups) + len(way.reads) + rows for way in (ways.any, ways.named) if way is not None)


def _native(
    ways: EntryWays,
    found: Mapping[str, Rows | None],
    env: Mapping[str, Any],
    native: ModuleType,
    actors: Actors,
    check: Check | None,
    spare: Entry | None,
) -> Entry:
    rows = [name for root in ROOTS for name in ways.prepared.items[root].values()]
    site, look, apart = ways.site, actors.look, ways.apart
    made: Entry = native.Intake(
        _way(ways.any, (), env),
        None if ways.named is None else _way(ways.named, rows, env),
        tuple(env[f"records_{root}"] if site.type_of(root) in site.recorded else None for root in ROOTS),
        tuple(None if rows is None else rows.made for rows in found.values()),
        tuple(None if rows is None else rows.find for rows in found.values()),
        NAMES["nothing"],
        (
            actors.entries,
            agent_types(actors.schema),
            delegators(site.principal, actors.schema),
            actors.derived.joined,
            actors.derived.join,
        ),
        (actors.harmless.context, *(actors.harmless.members(site.type_of(root)) for root in ROOTS)),
        (look.single, look.places, look.roots, look.through, look.members, look.acts),
        None if apart is None else (apart.principal, apart.resource, apart.types, apart.alike),
        check,
        spare,
    )
    return made


def _way(way: Way, rows: Sequence[str], env: Mapping[str, Any]) -> tuple[Any, bytes, tuple[Any, ...]]:
    used = way.names
    parts = [name for name in PARTS if name in used]
    parameters = [*parts, *(lookup.name for lookup in way.lookups), *(read.name for read in way.reads), *rows]
    decide = function(module("decide", parameters, way.body), env)
    reads = [*(_ancestors(lookup, env) for lookup in way.lookups), *map(_read, way.reads)]
    return decide, bytes(map(PARTS.index, parts)), tuple(reads)


def _ancestors(lookup: AncestorLookup, env: Mapping[str, Any]) -> tuple[int, Any, str, Callable[..., Any]]:
    root = ROOTS.index(lookup.root)
    if lookup.targets is None:
        return root, None, "a", lambda _, entity, known: env["ancestors"](entity, known)
    return root, wanted(lookup.targets), "a", env["ancestors_among"]


def _read(read: HoistedRead) -> tuple[int, Any, str, Callable[..., Any] | None]:
    root = read.attribute.base
    assert isinstance(root, ir.Root)
    return ROOTS.index(root.name), read.attribute.name, *KINDS[read.attribute.type]
