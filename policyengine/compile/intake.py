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
from policyengine.compile.entry import EntryPath, EntryPaths, entry_tree
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

# Takes a principal, a resource and a context or None, and optionally the action's attributes and the names of approvals
# or None. Returns the decision for all who must be allowed. Raises if anything is unusual or not remembered yet.
Entry = Callable[..., Decision]
# Whether the arguments of a tool are in order: takes a resource and a context or None.
Check = Callable[[Any, Any], bool]

# The values that `native/intake.c` can pass on, in its order, and the most values that it reads.
PARTS = (
    "principal", "resource", "context", "pid", "rid", "known_principal", "known_resource", "attributes", "approved"
)  # fmt: skip
LIMIT = 64
# The letter that it uses for a type, and the function that converts a value which does not plainly fit.
KINDS: Mapping[Type, tuple[str, Callable[[Any], Any] | None]] = {
    STRING: ("s", None),
    BOOL: ("b", None),
    INT: ("i", None),
    NUMBER: ("n", None),
    SetT(STRING): ("l", strings),
    ListT(STRING): ("l", ordered_strings),
}


def entry(
    paths: EntryPaths,
    world: World,
    env: Mapping[str, Any],
    native: ModuleType | None,
    actors: Actors,
    check: Check | None = None,
    fallback: Entry | None = None,
) -> Entry:
    """The entry function. `fallback` is called for requests of which only the outline is in order, with all arguments.
    `env` has the world, the functions of `references.functions`, `outcomes` (decisions by mask, a list if there are
    few) and `decisions` (by mask and hits)."""
    env = {**env, "approve": actors.derived.approve, "known_context": actors.vetted_names.context}
    env |= {f"members_{root}": actors.vetted_names.members(paths.site.type_of(root)) for root in ROOTS}
    env |= {"single": actors.look.single}
    if paths.apart is not None:
        env |= {"refers": paths.apart.refers, "roots": paths.apart.roots}
    rows_by_root = {root: _rows(paths, root, world) for root in ROOTS}
    if native is not None and _size(paths) <= LIMIT:
        return _native(paths, rows_by_root, {**env, **paths.constants}, native, actors, check, fallback)
    rows = {f"rows_{root}": rows.made for root, rows in rows_by_root.items() if rows is not None}
    find = {f"find_{root}": rows.find for root, rows in rows_by_root.items() if rows is not None}
    tree = entry_tree(paths, fallback is not None)
    made = function(tree, {**env, "together": actors.together, "fallback": fallback, **paths.constants, **rows, **find})
    made.__defaults__ = (NAMES["nothing"], None, False)
    whole: Entry = made
    return whole if check is None else _checked(whole, check)


def _checked(entry: Entry, check: Check) -> Entry:
    def decide(principal: Any, resource: Any, context: Any, *rest: Any) -> Decision:
        if not check(resource, context):
            raise Unusual
        return entry(principal, resource, context, *rest)

    return decide


def _rows(paths: EntryPaths, root: str, world: World) -> Rows | None:
    items = paths.prepared.items[root]
    return Rows(root, items, paths.site.type_of(root), paths.site.action, world) if paths.named and items else None


def _size(paths: EntryPaths) -> int:
    rows = sum(len(paths.prepared.items[root]) for root in ROOTS)
    return max(len(path.lookups) + len(path.reads) + rows for path in (paths.any, paths.named) if path is not None)


def _native(
    paths: EntryPaths,
    found: Mapping[str, Rows | None],
    env: Mapping[str, Any],
    native: ModuleType,
    actors: Actors,
    check: Check | None,
    fallback: Entry | None,
) -> Entry:
    rows = [name for root in ROOTS for name in paths.prepared.items[root].values()]
    site, look, apart = paths.site, actors.look, paths.apart
    made: Entry = native.Intake(
        _path(paths.any, (), env),
        None if paths.named is None else _path(paths.named, rows, env),
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
        (actors.vetted_names.context, *(actors.vetted_names.members(site.type_of(root)) for root in ROOTS)),
        (look.single, look.places, look.roots, look.through, look.members, look.acts),
        None if apart is None else (apart.principal, apart.resource, apart.types, apart.alike),
        check,
        fallback,
    )
    return made


def _path(path: EntryPath, rows: Sequence[str], env: Mapping[str, Any]) -> tuple[Any, bytes, tuple[Any, ...]]:
    used = path.names
    parts = [name for name in PARTS if name in used]
    parameters = [*parts, *(lookup.name for lookup in path.lookups), *(read.name for read in path.reads), *rows]
    decide = function(module("decide", parameters, path.body), env)
    reads = [*(_ancestors(lookup, env) for lookup in path.lookups), *map(_read, path.reads)]
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
