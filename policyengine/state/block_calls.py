"""Blocks for a host and its operators: setting and lifting blocks, and the list of current blocks.

Each method has an async form with the same operation.
"""

from __future__ import annotations

from collections.abc import Callable

from policyengine.blocks.block import KINDS, LONGEST, Block, BlockKind, block_name, read_id
from policyengine.diagnostics.suggest import one_of
from policyengine.events.event import Event, Field
from policyengine.events.sink import Sink
from policyengine.state.block_operations import Beat, Impose, ReadBlocks
from policyengine.state.known_blocks import block_of
from policyengine.state.operations import DocumentsFound, Outcome
from policyengine.state.store import Store, document_in
from policyengine.state.windows import SECOND
from policyengine.steps import Steps, awaited, plain


class Blocks:
    """The blocks of one store. `after` is called after each change."""

    def __init__(self, store: Store, events: Sink, after: Callable[[], None] = lambda: None) -> None:
        self._ask, self._ask_async = store.run, store.run_async
        self._events = events
        self._after = after

    def _block(
        self, kind: BlockKind, id: str, *, seconds: float | None = None, why: str = "", by: str = ""
    ) -> Steps[Block]:
        """Denies this person or thing on every node, for this many seconds; for ever without `seconds`. `id` applies to
        any type, or names one: `User::"ann"`. `why` is shown to everyone who is denied. Raises ValueError for an id
        that names nobody, and StoreError."""
        if seconds is not None and not 0 < seconds < 1e9:
            raise ValueError("`seconds` must be more than 0; leave it out for a block without end")
        length = 0 if seconds is None else max(1, round(seconds * SECOND))
        asked = _impose(kind, id, why, by, True, length)
        return self._done(asked, (yield asked))

    def _unblock(self, kind: BlockKind, id: str, *, why: str = "", by: str = "") -> Steps[None]:
        """Lifts a block, exactly as it was named. Raises ValueError and StoreError."""
        asked = _impose(kind, id, why, by, False, 0)
        self._done(asked, (yield asked))

    def _void(self, *, why: str = "", by: str = "") -> Steps[float]:
        """Voids all earlier sessions and approvals, on every node: for example, after a store was restored from a
        backup. Returns the time before which they are void, in seconds since 1970. Raises StoreError."""
        since = int(document_in((yield Beat(void=True)))["since"])
        self._after()
        event: dict[str, Field] = {"before": since // SECOND, "why": why[:LONGEST], "by": by[:LONGEST]}
        self._events.send(Event("state.voided", event))
        return since / SECOND

    def _list(self) -> Steps[tuple[Block, ...]]:
        """The current blocks, by kind and id. Raises StoreError."""
        return _listed((yield ReadBlocks()))

    block, block_async = plain(_block), awaited(_block)
    unblock, unblock_async = plain(_unblock), awaited(_unblock)
    void, void_async = plain(_void), awaited(_void)
    list, list_async = plain(_list), awaited(_list)

    def _done(self, impose: Impose, outcome: Outcome) -> Block:
        document = document_in(outcome)
        self._after()
        block = block_of(document["entries"][impose.name])
        kind = "state.blocked" if impose.blocked else "state.unblocked"
        tenant = block.id if block.kind == "tenant" else ""
        fields: dict[str, Field] = {"kind": block.kind, "id": block.shown, "why": impose.why, "by": block.by}
        fields["until"] = block.until // SECOND
        self._events.send(Event(kind, fields, tenant))
        return block


def _impose(kind: str, id_: str, why: str, by: str, blocked: bool, length: int) -> Impose:
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
