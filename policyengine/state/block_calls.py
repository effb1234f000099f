"""Blocks for a host and its operators: setting and lifting blocks, and the list of current blocks.

Each method has an async form with the same operation.
"""

from __future__ import annotations

from collections.abc import Callable

from policyengine.blocks.block import KINDS, LONGEST, Block, Kind, block_name, read_id
from policyengine.diagnostics.suggest import one_of
from policyengine.events.event import Event, Field
from policyengine.events.sink import Sink
from policyengine.state.block_operations import Beat, Impose, ReadBlocks
from policyengine.state.known_blocks import block_of
from policyengine.state.operations import DocumentsFound, Outcome
from policyengine.state.store import Store, document_in
from policyengine.state.windows import SECOND


class Blocks:
    """The blocks of one store. `after` is called once something has changed."""

    def __init__(self, store: Store, events: Sink, after: Callable[[], None] = lambda: None) -> None:
        self._store = store
        self._events = events
        self._after = after

    def block(self, kind: Kind, id: str, *, seconds: float | None = None, why: str = "", by: str = "") -> Block:
        """Deny whoever and whatever this is, on every node, for so long; for ever without `seconds`. `id` is of any
        type, or says one: `User::"ann"`. `why` is shown to whoever is denied. Raises ValueError for what names nobody,
        and StoreError."""
        asked = _impose(kind, id, seconds, why, by)
        return self._done(asked, self._store.run(asked))

    async def block_async(
        self, kind: Kind, id: str, *, seconds: float | None = None, why: str = "", by: str = ""
    ) -> Block:
        asked = _impose(kind, id, seconds, why, by)
        return self._done(asked, await self._store.run_async(asked))

    def unblock(self, kind: Kind, id: str, *, why: str = "", by: str = "") -> None:
        """Lift a block, exactly as it was named. Raises ValueError and StoreError."""
        asked = _lift(kind, id, why, by)
        self._done(asked, self._store.run(asked))

    async def unblock_async(self, kind: Kind, id: str, *, why: str = "", by: str = "") -> None:
        asked = _lift(kind, id, why, by)
        self._done(asked, await self._store.run_async(asked))

    def void(self, *, why: str = "", by: str = "") -> float:
        """All sessions and approvals from before are void, on every node: after a store was restored from a backup, for
        one. Returns what that is before, in seconds since 1970. Raises StoreError."""
        return self._voided(self._store.run(Beat(void=True)), why, by)

    async def void_async(self, *, why: str = "", by: str = "") -> float:
        return self._voided(await self._store.run_async(Beat(void=True)), why, by)

    def _voided(self, outcome: Outcome, why: str, by: str) -> float:
        since = int(document_in(outcome)["since"])
        self._after()
        told: dict[str, Field] = {"before": since // SECOND, "why": why[:LONGEST], "by": by[:LONGEST]}
        self._events.send(Event("state.voided", told))
        return since / SECOND

    def list(self) -> tuple[Block, ...]:
        """What is blocked now, by kind and id. Raises StoreError."""
        return _listed(self._store.run(ReadBlocks()))

    async def list_async(self) -> tuple[Block, ...]:
        return _listed(await self._store.run_async(ReadBlocks()))

    def _done(self, asked: Impose, outcome: Outcome) -> Block:
        document = document_in(outcome)
        self._after()
        block = block_of(document["entries"][asked.name])
        kind = "state.blocked" if asked.blocked else "state.unblocked"
        tenant = block.id if block.kind == "tenant" else ""
        fields: dict[str, Field] = {"kind": block.kind, "id": block.shown, "why": asked.why, "by": block.by}
        fields["until"] = block.until // SECOND
        self._events.send(Event(kind, fields, tenant))
        return block


def _impose(kind: str, id_: str, seconds: float | None, why: str, by: str) -> Impose:
    if seconds is not None and not 0 < seconds < 1e9:
        raise ValueError("`seconds` must be more than 0; leave it out for a block without end")
    length = 0 if seconds is None else max(1, round(seconds * SECOND))
    return _asked(kind, id_, why, by, True, length)


def _lift(kind: str, id_: str, why: str, by: str) -> Impose:
    return _asked(kind, id_, why, by, False, 0)


def _asked(kind: str, id_: str, why: str, by: str, blocked: bool, length: int) -> Impose:
    if kind not in KINDS:
        raise ValueError(f"what can be blocked is {one_of(KINDS)}")
    type_, name = read_id(id_)
    return Impose(
        name=block_name(kind, type_, name),
        kind=kind,
        type=type_,
        id=name,
        blocked=blocked,
        length=length,
        why=why[:LONGEST],
        by=by[:LONGEST],
    )


def _listed(outcome: Outcome) -> tuple[Block, ...]:
    if isinstance(outcome, DocumentsFound) and outcome.documents[0] is None:
        return ()
    document = document_in(outcome)
    now = outcome.now  # type: ignore[union-attr]
    blocks = [block_of(entry) for entry in document["entries"].values() if entry["blocked"]]
    return tuple(sorted((b for b in blocks if not b.until or b.until > now), key=lambda b: (b.kind, b.type, b.id)))
