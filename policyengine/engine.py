"""The in-process PDP.

One Engine holds one current snapshot. Every call takes the snapshot once and answers from it alone, so an answer never
mixes two revisions. Deciding does no I/O, takes no lock and never raises for what a request holds: it is safe from any
thread and inside an event loop.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from policyengine import search
from policyengine.bundle import Entities, InvalidPolicies, Loaded, Snapshot, load_path, load_read, load_text
from policyengine.compile.approvals_and_meters import approvals
from policyengine.compile.keyword_decider import KeywordDecider
from policyengine.diagnostics import codes
from policyengine.events.sink import Sink
from policyengine.explain.explanation import Explanation, explain, unexplained
from policyengine.files import FilesRead
from policyengine.filters.filter import Filter
from policyengine.model.decision import Decision, RuleError
from policyengine.model.frozen import copied
from policyengine.model.request import Request, request
from policyengine.model.values import Fault
from policyengine.partial.formula import FALSE, TRUE
from policyengine.release.inspection import Inspection
from policyengine.reloading import Reader, Reloads
from policyengine.schema.applicability import not_applicable
from policyengine.state.store import Store
from policyengine.state.stores.opening import open_store
from policyengine.testing import gated
from policyengine.warm.cache import open_cache
from policyengine.warm.collector import paused


class Engine(Reloads, KeywordDecider):
    """Policies that are ready to decide. Make an Engine with `load` or `from_text`."""

    def _concerns(self, snapshot: Snapshot) -> None:
        super()._concerns(snapshot)
        self._snapshot = snapshot
        self._decides_by(snapshot.evaluator)

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        entities: Entities = None,
        cache: bool | Path = True,
        state: str | Store = "memory://",
        events: Sink | None = None,
        inspection: Inspection | None = None,
        gate_tests: bool = False,
        pause_gc: bool = False,
        begin: FilesRead | None = None,
    ) -> Engine:
        """Policies from a directory or a file. `entities` is a list of flat entities, which the engine copies, or a
        JSON file with such a list, which `reload` reads again. Checked policies are cached in the cache directory of
        the user, or in the directory `cache`, so that the next load is fast; with False they are not. `state` is where
        `authorize` keeps state: a store, or the URL of one. `events` receives what people are told. `inspection`
        determines how `release` and `admit` scan texts. With `gate_tests`, the policies must pass their own tests.
        `pause_gc` stops the garbage collector of this process during loads, now and later; for many rules that halves
        the time. `begin` holds files that were read before, to begin with instead of those on disk. Raises
        InvalidPolicies, with all diagnostics, if anything has an error; ValueError for a URL that names no store; and
        StoreError for a store that cannot be used."""
        kept = open_cache(cache if isinstance(cache, Path) else None) if cache is not False else None
        paths = [Path(path)] + ([Path(entities)] if isinstance(entities, str | Path) else [])
        known = _kept(entities)

        def load(settled: bool, read: FilesRead | None) -> Loaded:
            with paused() if pause_gc else nullcontext():
                if read is not None:
                    return load_read(read, path, known, kept)
                return load_path(path, known, settled, kept)

        made = cls._made(load, paths, state, events, inspection, gate_tests, begin)
        made._pause_gc = pause_gc
        return made

    @classmethod
    def from_text(
        cls,
        source: str,
        *,
        entities: Entities = None,
        path: str = "policy.pol",
        state: str | Store = "memory://",
        events: Sink | None = None,
        inspection: Inspection | None = None,
    ) -> Engine:
        """Policies from one text. `path` is for display. Raises as `load` does."""
        known = _kept(entities)
        return cls._made(lambda *_: load_text(source, path, known), [], state, events, inspection)

    @classmethod
    def _made(
        cls,
        reader: Reader,
        paths: list[Path],
        state: str | Store,
        events: Sink | None,
        inspection: Inspection | None,
        gate_tests: bool = False,
        begin: FilesRead | None = None,
    ) -> Engine:
        loaded = reader(False, begin)
        if gate_tests:
            loaded = gated(loaded)
        if loaded.snapshot is None:
            raise InvalidPolicies(loaded.diagnostics)
        store = open_store(state) if isinstance(state, str) else state
        made = cls(loaded.snapshot, reader, paths, loaded.state, store, events, inspection)
        made.began = loaded.files_read
        return made

    # ---- asking ----

    def decide_many(self, requests: Iterable[Mapping[str, Any]]) -> list[Decision]:
        """The decisions about many requests (mappings with the keywords of `decide`), all from one snapshot. Raises
        TypeError as `decide` does, and then nothing is decided."""
        return self._snapshot.evaluator.decide_many(requests)

    def explain(
        self,
        *,
        principal: Mapping[str, Any],
        action: str | Mapping[str, Any],
        resource: Mapping[str, Any],
        context: Mapping[str, Any] | None = None,
        approved: Collection[str] | None = (),
    ) -> Explanation:
        """The decision that `decide` gives, and the reasons: what each rule about the action said, down to the values
        that it read. It shows values of the request, so it is only for those who may see them. It is much slower than
        `decide`. Raises TypeError as `decide` does."""
        snapshot = self._snapshot
        given = approvals(approved, snapshot.evaluator.approvals)
        try:
            asked = request(principal, action, resource, context)
        except Fault as fault:
            return unexplained(RuleError("", fault.code, fault.message), snapshot.revision)
        if (denial := snapshot.denial(principal, action, resource, context)) is not None:
            return unexplained(denial.errors[0], snapshot.revision)
        return explain(snapshot.policies, snapshot.schema, snapshot.world, asked, given, snapshot.revision)

    def filter(
        self,
        *,
        principal: Mapping[str, Any],
        action: str | Mapping[str, Any],
        resource_type: str,
        context: Mapping[str, Any] | None = None,
        resource: Mapping[str, Any] | None = None,
        fulfilled: Collection[str] = (),
        approved: Collection[str] | None = (),
        metered: Collection[str] | bool | None = (),
    ) -> Filter:
        """The resources of a type for which `decide` would allow this request, for a query to a store or for resources
        in memory. `resource` are attributes that all of them have, whatever they say themselves. `fulfilled` are the
        types of obligation that the caller fulfils for everything that it fetches; without it, nothing with an
        obligation is found. Without `metered`, nothing that a limit applies to is found. `approved` and `metered` are
        as in `decide`. Never raises for what the request holds; the filter of a malformed request matches nothing.
        Raises TypeError as `decide` does, and for a `fulfilled` that is a text or a mapping."""
        if isinstance(fulfilled, str | Mapping):
            raise TypeError("`fulfilled` must be a collection of obligation types")
        snapshot = self._snapshot
        met = snapshot.evaluator.met(approved, metered)
        principal, action, context = copied(principal), copied(action), copied(context)
        attributes: Any = {} if resource is None else copied(resource)
        if not isinstance(attributes, Mapping):
            problem = RuleError("", codes.MALFORMED.id, "the attributes of a resource must be an object")
            return Filter(FALSE, str(resource_type), snapshot.world, snapshot.revision, (problem,))
        known = {**attributes, "type": resource_type}
        gap = {"type": resource_type, "id": known.get("id", "")}
        try:
            asked = request(principal, action, gap, context)
        except Fault as fault:
            problem = RuleError("", fault.code, fault.message)
            return Filter(FALSE, str(resource_type), snapshot.world, snapshot.revision, (problem,))
        if (denial := snapshot.denial(principal, action, gap, context)) is not None:
            return Filter(FALSE, resource_type, snapshot.world, snapshot.revision, denial.errors)
        mentioned = snapshot.partial.mentions(asked)
        formula = snapshot.partial.residual(asked, "resource", known, frozenset(fulfilled), met, mentioned=mentioned)
        formula = snapshot.blocks.narrowed(formula, resource_type)
        unknown = not_applicable(snapshot.schema, asked.principal.uid.type, asked.action.name, resource_type)
        errors = () if unknown is None else (unknown,)
        # For an explanation, if anybody asks for one.
        residual = partial(snapshot.partial.explain, asked, "resource", known, met)
        decide = partial(_decide_about, snapshot, asked, known, met)
        about = snapshot.documents.of(asked.action.name, resource_type)
        together = None if about.wholes is None else about.wholes.of(asked, mentioned)
        promised = frozenset(fulfilled), snapshot.blocks.narrowed(TRUE, resource_type)
        parts = snapshot.world, snapshot.revision, errors, about, residual, decide, together
        return Filter(formula, resource_type, *parts, *promised)

    def search_principals(
        self,
        *,
        principal_type: str,
        action: str | Mapping[str, Any],
        resource: Mapping[str, Any],
        context: Mapping[str, Any] | None = None,
        principal: Mapping[str, Any] | None = None,
        approved: Collection[str] | None = (),
        metered: Collection[str] | bool | None = (),
    ) -> list[dict[str, str]]:
        """The principals that may do this: every entity of the type in the entity source for which `decide` allows this
        without an obligation, as references sorted by id. `principal` are attributes that all of them have unless the
        source says otherwise. `approved` and `metered` are as in `decide`, and raise as there. Never raises for what
        the request holds; a malformed request finds nobody."""
        sought, snapshot = search.sought(principal_type, principal), self._snapshot
        met = snapshot.evaluator.met(approved, metered)
        ids = search.principals(snapshot, sought, action, resource, context, met=met)
        return [{"type": principal_type, "id": id_} for id_ in ids]

    def search_resources(
        self,
        *,
        principal: Mapping[str, Any],
        action: str | Mapping[str, Any],
        resource_type: str,
        context: Mapping[str, Any] | None = None,
        resource: Mapping[str, Any] | None = None,
        approved: Collection[str] | None = (),
        metered: Collection[str] | bool | None = (),
    ) -> list[dict[str, str]]:
        """The resources to which this may be done: every entity of the type in the entity source, and every declared
        tool; otherwise as `search_principals`. For documents that no entity source knows, use `filter`."""
        sought, snapshot = search.sought(resource_type, resource), self._snapshot
        met = snapshot.evaluator.met(approved, metered)
        ids = search.resources(snapshot, principal, action, sought, context, met=met)
        return [{"type": resource_type, "id": id_} for id_ in ids]

    def search_actions(
        self,
        *,
        principal: Mapping[str, Any],
        resource: Mapping[str, Any],
        context: Mapping[str, Any] | None = None,
        approved: Collection[str] | None = (),
        metered: Collection[str] | bool | None = (),
    ) -> list[str]:
        """The actions that may be done: the sorted names of the declared actions that `decide` allows, without
        attributes of the action and without an obligation. `approved` and `metered` are as in `decide`, and raise as
        there."""
        snapshot = self._snapshot
        return search.actions(snapshot, principal, resource, context, met=snapshot.evaluator.met(approved, metered))

    # ---- the snapshot ----

    @property
    def snapshot(self) -> Snapshot:
        return self._snapshot

    @property
    def revision(self) -> str:
        """A digest of the policies and entities that answer now."""
        return self._snapshot.revision


def _decide_about(
    snapshot: Snapshot, asked: Request, known: Mapping[str, Any], met: frozenset[str], document: Mapping[str, Any]
) -> Decision:
    """The decision about a document, in the place of the resource of a request. What is known of all of them wins over
    what it says of itself, but for its type: a document is of no other than it says."""
    resource = {**document, **known, "type": document.get("type", known["type"])}
    action = asked.action.attributes or asked.action.name
    return snapshot.evaluator.decide_met(asked.principal.attributes, action, resource, asked.context, met)


def _kept(entities: Entities) -> Entities:
    return entities if entities is None or isinstance(entities, str | Path) else copied(list(entities))
