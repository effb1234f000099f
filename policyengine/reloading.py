"""The half of an engine that reads its files again.

New policies are prepared beside the current ones and replace them when their turn comes: at once, unless a `Turns` says
when. Broken files change nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Protocol

from policyengine import search
from policyengine.bundle import Loaded, Snapshot
from policyengine.diagnostics import codes
from policyengine.diagnostics.diagnostic import Diagnostic
from policyengine.diagnostics.source import Source
from policyengine.events.sink import Everywhere, Sink
from policyengine.files import FilesRead
from policyengine.files import state as state_of
from policyengine.gate.service import Gates
from policyengine.lazy_import import logger
from policyengine.release.inspection import Inspection
from policyengine.state.reloads import Reload, event_of
from policyengine.state.stateful_rules import restarted_limits
from policyengine.state.store import Store
from policyengine.state.stores.memory import Memory
from policyengine.testing import gated
from policyengine.warm.collector import paused
from policyengine.watch import Watcher

log = logger(__name__)

# Loads the files that are there, once they have settled or at once; or those that were read before.
Reader = Callable[[bool, FilesRead | None], Loaded]


@dataclass(frozen=True, slots=True)
class Successor:
    """Policies that are ready to answer. `adopt` has them answer, from any thread; `outdated` is whether the files have
    changed since."""

    loaded: Loaded
    revision: str
    adopt: Callable[[], None]
    outdated: Callable[[], bool]


class Turns(Protocol):
    """Says when prepared policies begin to answer."""

    def take(self, prepared: Successor) -> bool:
        """Comes back once they answer (True), or once they are outdated before that (False)."""

    def refuse(self) -> None:
        """What is there now is broken, so that nothing is prepared."""


class AtOnce:
    """Prepared policies answer at once."""

    def take(self, prepared: Successor) -> bool:
        prepared.adopt()
        return True

    def refuse(self) -> None:
        pass


class Reloads(Gates):
    """An engine whose files can be read again."""

    def __init__(
        self,
        snapshot: Snapshot,
        reader: Reader,
        paths: Iterable[Path] = (),
        read: object = None,
        store: Store | None = None,
        events: Sink | None = None,
        inspection: Inspection | None = None,
    ) -> None:
        told = Everywhere([events] if events is not None else [])
        super().__init__(snapshot, store if store is not None else Memory(), told, inspection)
        self._reader = reader
        self._paths = tuple(paths)
        self._read = read
        self._reloading = Lock()
        self._pause_gc = False
        # The files that it was made of, for whoever keeps them.
        self.began: FilesRead | None = None
        self.turns: Turns = AtOnce()
        # The latest one that was started.
        self.watcher: Watcher | None = None
        self._last_reload = Reload(True, snapshot.revision, ())

    @property
    def last_reload(self) -> Reload:
        return self._last_reload

    def reload(self, *, gate_tests: bool = False, unless: str | None = None) -> Reload:
        """Read everything again and, if it has no errors (and with `gate_tests`, passes its own tests), answer from it.
        Otherwise nothing changes. Nothing is read where the revision `unless` answers already. Never raises for what
        the files hold."""
        with self._reloading:
            if unless is not None and unless == self._loaded.revision:
                return self._last_reload
            while not self._read_again(gate_tests):
                pass
            self.events.send(event_of(self._last_reload))
            return self._last_reload

    def _read_again(self, gate_tests: bool) -> bool:
        """Whether that is done: files may change again before the turn of what was read comes."""
        loaded = self._load_again()
        self._read = loaded.state
        if gate_tests:
            loaded = gated(loaded)
        snapshot = loaded.snapshot
        if snapshot is None:
            since = self._last_reload.since or datetime.now(UTC)
            self._last_reload = Reload(False, self._loaded.revision, loaded.diagnostics, since=since)
            self.turns.refuse()
            return True
        with paused() if self._pause_gc else nullcontext():
            snapshot.evaluator.prepare(self._loaded.evaluator)
            snapshot.partial.prepare(self._loaded.partial)
            search.prepare(snapshot, self._loaded.world.ordered)
        return self.turns.take(Successor(loaded, snapshot.revision, lambda: self._adopt(loaded, snapshot), self._stale))

    def _adopt(self, loaded: Loaded, snapshot: Snapshot) -> None:
        before = self._metering[1]
        self._publish(snapshot)
        begins = restarted_limits(before, self._metering[1])
        self._last_reload = Reload(True, snapshot.revision, loaded.diagnostics, begins)

    def _stale(self) -> bool:
        return state_of(self._paths) != self._read

    def catch_up(self, read: FilesRead) -> None:
        """Answer from files that were read before, whatever is there now."""
        with self._reloading:
            loaded = self._reader(False, read)
            if loaded.snapshot is not None:
                last = self._last_reload
                self._adopt(loaded, loaded.snapshot)
                self._last_reload = replace(last, revision=loaded.snapshot.revision)

    def _load_again(self) -> Loaded:
        try:
            return self._reader(True, None)
        except Exception:
            log.exception("reload_failed")
            place = Source(str(self._paths[0]) if self._paths else "", "").span(0, 0)
            problem = Diagnostic(codes.INTERNAL, place, "the policies could not be loaded")
            return Loaded(None, (problem,), state=state_of(self._paths))

    def watch(self, *, gate_tests: bool = False, on_reload: Callable[[Reload], None] | None = None) -> Watcher:
        """Reload whenever the files change, in a thread of its own, until the returned watcher is stopped (it is also a
        context manager). `on_reload` hears of every attempt. Raises ValueError for an engine made from text."""
        if not self._paths:
            raise ValueError("an engine made from text has no files to watch")

        def changed() -> None:
            result = self.reload(gate_tests=gate_tests)
            if on_reload is not None:
                on_reload(result)

        self.watcher = Watcher(self._paths, self._stale, changed).start()
        return self.watcher
