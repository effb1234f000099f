"""A node's copy of the list of blocks, read from the store four times a second; an older list takes nothing back.

A store that others write to has two threads, and one more if it has several shards: one reads; the second checks how
long ago the last successful read was; the third checks whether a shard was emptied, without waiting for unavailable
ones. A list that was never read, or not for `BOUND` seconds, stops everybody until it is read again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from threading import Event, Lock, Thread, current_thread
from time import monotonic
from typing import Any
from weakref import ReferenceType, WeakSet, ref

from policyengine.blocks.block import Block
from policyengine.blocks.denylist import NOBODY, Denylist, FindTenants, attribute_tenant
from policyengine.blocks.evaluator import Blocking
from policyengine.bundle import Snapshot
from policyengine.lazy_import import logger
from policyengine.state.block_operations import BEAT, Beat, ReadBlocks, beat_key
from policyengine.state.operations import DocumentsFound, ReadDocuments
from policyengine.state.store import Sharded, Store, StoreError
from policyengine.state.stores.memory import Memory
from policyengine.state.windows import SECOND

log = logger(__name__)

# The interval between reads, in seconds.
EVERY = 0.25
# How long a node may go without reading the list, in seconds.
BOUND = 10.0


def behind(snapshot: Snapshot, blocks: Denylist) -> Snapshot:
    """The snapshot, which denies what is blocked."""
    if blocks.is_empty:
        return snapshot
    return replace(snapshot, evaluator=Blocking(snapshot.evaluator, blocks), blocks=blocks)


class KnownBlocks:
    """`changed` is called with each list that differs from the one before, but not with an empty first one; `lost` is
    called if the store was emptied or restored. Sessions and approvals from before `since` are void, by the store's
    clock; `voided` is the same time if the store has lost data, rather than being new."""

    def __init__(
        self,
        store: Store,
        changed: Callable[[], None],
        every: float = EVERY,
        bound: float = BOUND,
        tenants: FindTenants = attribute_tenant,
        lost: Callable[[], None] = lambda: None,
    ) -> None:
        self.blocks = NOBODY
        self._store = store
        self._changed = changed
        self._every = every
        self._bound = bound
        self._lock = Lock()
        # Only one thread reads at a time.
        self._reads = Lock()
        self._entries: dict[str, Mapping[str, Any]] = {}
        self._known: dict[str, Block] = {}
        self._version = 0
        self.since = 0
        self.voided = 0
        self._beat = 0
        self._lost = lost
        # Whether the last read failed.
        self._is_away = False
        self._read_at: float | None = None
        # The store's time minus this machine's monotonic time.
        self._clock_offset = 0.0
        self._stop = Event()
        self._threads: list[Thread] = []
        self._tenants = tenants
        self._watched = not isinstance(store, Memory)
        # By a place on each shard: its last beat, since when it has had one, and until when everything was void
        # already.
        self._shards: dict[str, tuple[int, int, int]] = {}
        if isinstance(store, Memory):
            # Nobody else writes to this store: it calls the board at each change.
            store.blocks_listeners.add(self)
            self.read()
            return
        try:
            self.read()
        except StoreError:
            self.check_age()
        _BOARDS.add(self)
        self.begin()

    def read(self) -> None:
        """Reads the list now. Raises StoreError."""
        with self._reads:
            began, is_lost = monotonic(), False
            outcome = self._answer(ReadBlocks(self._version))
            beat, since = _time(outcome.documents[0], "beat"), _time(outcome.documents[0], "since")
            if self._watched and self.since and since > max(self.since, _time(outcome.documents[0], "lost")):
                # A node that knew nothing has started a new list.
                outcome, is_lost = self._answer(Beat(void=True)), True
            elif self._watched and (beat < self._beat or beat + BEAT <= outcome.now):
                outcome = self._answer(Beat(self._beat))
                # Another node may have recorded the loss already, and then reports it.
                is_lost = beat < self._beat and _time(outcome.documents[0], "since") >= outcome.now
            self.take(outcome.documents[0], outcome.now, began)
        if is_lost:
            self._tell()

    def check_shards(self) -> None:
        """Checks whether a shard was emptied or restored; an unavailable one is checked the next time."""
        assert isinstance(self._store, Sharded)
        for place in self._store.places():
            with suppress(StoreError):
                self._look_at(place)

    def _look_at(self, place: str) -> None:
        outcome = self._answer(ReadDocuments((beat_key(place),)))
        beat, since = _time(outcome.documents[0], "beat"), _time(outcome.documents[0], "since")
        known = self._shards.get(place)
        if known is not None and (beat < known[0] or since > known[1]):
            # Another node may have recorded it already.
            self.read()
            if self.since <= known[2]:
                began, made = monotonic(), self._answer(Beat(void=True))
                self.take(made.documents[0], made.now, began)
                self._tell()
        if beat + BEAT <= outcome.now:
            outcome = self._answer(Beat(place=place))
            beat, since = _time(outcome.documents[0], "beat"), _time(outcome.documents[0], "since")
        self._shards[place] = beat, since, self.since

    def _tell(self) -> None:
        log.warning("the state store was emptied or restored", voided_before=self.since // SECOND)
        self._lost()

    def _answer(self, operation: Beat | ReadDocuments | ReadBlocks) -> DocumentsFound:
        outcome = self._store.run(operation)
        if not isinstance(outcome, DocumentsFound):
            raise StoreError("the state store gave an answer of the wrong kind")
        return outcome

    def take(self, document: Mapping[str, Any] | None, now: int, began: float) -> None:
        """Takes over the list as of a time of the store and of this machine."""
        with self._lock:
            self._read_at = began
            self._clock_offset = now / SECOND - began
            changed = document is not None and self._merge(document)
            self._beat = max(self._beat, _time(document, "beat"))
            since, voided = _time(document, "since"), _time(document, "lost")
            if since > self.since or voided > self.voided:
                self.since, self.voided = max(since, self.since), max(voided, self.voided)
                self._changed()
            if changed or self.blocks.unknown or any(map(self._is_over, self._known.values())):
                self._known = {block.name: block for block in self._all() if not self._is_over(block)}
                self._set(Denylist(self._known.values(), is_over=self._is_over, tenants=self._tenants))

    def check_age(self) -> None:
        """Stops everybody if the list was read too long ago."""
        with self._lock:
            if not self.blocks.unknown and (self._read_at is None or monotonic() - self._read_at > self._bound):
                self._set(Denylist(unknown=True))

    def begin(self) -> None:
        """Starts the threads."""
        board_ref, steps = ref(self), [KnownBlocks._read_or_tell, KnownBlocks.check_age]
        if isinstance(self._store, Sharded):
            steps.append(KnownBlocks._looking)
        self._threads = [
            Thread(
                target=_run, args=(board_ref, step, self._stop, self._every), name="policyengine-blocks", daemon=True
            )
            for step in steps
        ]
        for thread in self._threads:
            thread.start()

    def tell_tenants(self, tenants: FindTenants) -> None:
        """Sets the function that finds the tenants of a request."""
        with self._lock:
            self._tenants = tenants
            self.blocks = self.blocks.with_tenants(tenants)
            self._changed()

    def close(self) -> None:
        """Stops reading: when this returns, no read is running. The known blocks stay in force."""
        self._stop.set()
        for thread in self._threads:
            if thread is not current_thread():
                thread.join(timeout=self._bound)

    def _read_or_tell(self) -> None:
        try:
            self.read()
            self._is_away = False
        except StoreError as error:
            # The people who are denied because of it must not learn where the store is.
            if not self._is_away and not self._stop.is_set():
                log.warning("the state store is unavailable", problem=str(error))
            self._is_away = True
        except Exception:
            # For example, the store was closed meanwhile. A node that cannot read the list soon denies everything.
            if not self._stop.is_set():
                log.exception("the list of blocks cannot be read")

    def _looking(self) -> None:
        try:
            self.check_shards()
        except Exception:
            if not self._stop.is_set():
                log.exception("the shards of the state store cannot be checked")

    def _merge(self, document: Mapping[str, Any]) -> bool:
        """Takes over entries that are newer than the known ones. True if there are any."""
        newer = {
            name: entry
            for name, entry in document["entries"].items()
            if name not in self._entries or entry["at"] > self._entries[name]["at"]
        }
        self._entries |= newer
        self._version = int(document["version"])
        return bool(newer)

    def _all(self) -> list[Block]:
        return [block_of(entry) for entry in self._entries.values() if entry["blocked"]]

    def _is_over(self, block: Block) -> bool:
        return bool(block.until) and block.until <= (monotonic() + self._clock_offset) * SECOND

    def _set(self, blocks: Denylist) -> None:
        if blocks.is_empty and self.blocks.is_empty:
            return
        self.blocks = blocks
        self._changed()


def _time(document: Mapping[str, Any] | None, name: str) -> int:
    return int(document.get(name, 0)) if document is not None else 0


def block_of(entry: Mapping[str, Any]) -> Block:
    """The block in an entry of the list."""
    fields = {name: entry[name] for name in ("kind", "id", "type", "until", "why", "by", "at")}
    return Block(**fields)


def _run(board_ref: ReferenceType[KnownBlocks], step: Callable[[KnownBlocks], None], stop: Event, every: float) -> None:
    """Repeats a step until the board is closed or gone."""
    while not stop.wait(every):
        board = board_ref()
        if board is None:
            return
        step(board)
        del board


# Threads do not survive a fork.
_BOARDS: WeakSet[KnownBlocks] = WeakSet()


def _forked() -> None:
    for board in list(_BOARDS):
        board._lock, board._reads = Lock(), Lock()
        board.begin()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
