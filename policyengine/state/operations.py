"""The operations of a store, each in one atomic step, and its answers.

Each operation names the documents it reads and writes (`keys`), so that a store can lock them in order.

All are frozen msgspec structs: several are made for every request, ten times as fast as frozen dataclasses.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from policyengine.state.approval_operations import (
    ApprovalOperation,
    CloseTicket,
    Consume,
    DecideTicket,
    Keep,
    OpenTicket,
)
from policyengine.state.block_operations import Beat, Impose, ReadBlocks
from policyengine.state.windows import Window

# A document is a JSON object; None if it does not exist.
Document = Mapping[str, Any]

# The most limits that may meter one request, so that transactions are bounded.
MAX_CHARGES = 32

# The key for the records of operators' changes to meters, and how long they are kept, in microseconds.
CHANGE = "change"
CHANGE_KEPT = 400 * 86_400 * 1_000_000


class Charge(Struct, frozen=True, gc=False):
    """The charge of one limit to one meter. `meter` is its key; amounts are millionths. `block_for` is how long the
    meter refuses everything after a refusal, in microseconds; an `advisory` charge is counted and never refused. With a
    `share` there may be more than the ceiling: a percentage of the average over a number of previous periods, each of a
    length in microseconds."""

    meter: str
    rule: str
    by: tuple[str, ...]
    window: Window
    ceiling: int
    amount: int
    block_for: int = 0
    advisory: bool = False
    share: tuple[int, int, int] | None = None


class SessionWrite(Struct, frozen=True, gc=False):
    """What an allowed request adds to its session. `version` is that of the session that was read; None if no rule read
    it. `call` is the action and, for a tool, its name. A session that began before `since` is void."""

    key: str
    tenant: str
    principal: str
    life: int
    labels: tuple[str, ...] = ()
    call: str = ""
    version: int | None = None
    opens: bool = True
    since: int = 0


class Commit(Struct, frozen=True, gc=False):
    """Charges all or none, uses the approval, marks the session, opens the lease. Times are microseconds; `lease` is
    its length. `once` is the key of a retry and `body` the digest that its request must have. `memo` is a text that the
    lease keeps, from which the real cost is computed. With `held` the charges are held already, and are made whatever
    room there is; once. `elsewhere` are charges of the same request that another shard makes."""

    id: str
    owner: str
    charges: tuple[Charge, ...]
    lease: int
    keep: int
    session: SessionWrite | None = None
    once: str | None = None
    body: str = ""
    memo: str = ""
    approval: Consume | None = None
    held: bool = False
    elsewhere: tuple[Charge, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        named = {lease_key(self.id), *(c.meter for c in self.charges)}
        if self.approval is not None:
            named.add(self.approval.key)
        if self.session is not None:
            named.add(self.session.key)
        if self.once is not None:
            named.add(self.once)
        return tuple(sorted(named))


class Hold(Struct, frozen=True, gc=False):
    """Holds room for the charges, all or none, for this many microseconds: until a commit makes them, or the time is
    over."""

    id: str
    charges: tuple[Charge, ...]
    lasting: int

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(sorted({charge.meter for charge in self.charges}))


class Release(Struct, frozen=True, gc=False):
    """Gives back what is held, or was charged from it."""

    id: str
    owner: str
    charges: tuple[Charge, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(sorted({lease_key(self.id), *(charge.meter for charge in self.charges)}))


class Settle(Struct, frozen=True, gc=False):
    """Records the real cost of a lease: by meter, in millionths. With `final` False it is the amount spent so far, and
    the lease goes on. `windows` are the current windows of the meters."""

    id: str
    owner: str
    actual: tuple[tuple[str, int], ...]
    windows: tuple[tuple[str, Window], ...]
    final: bool = True

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(sorted({lease_key(self.id), *(meter for meter, _ in self.windows)}))


class Renew(Struct, frozen=True, gc=False):
    """Extends the lease to this many microseconds from now. `meters` are those it is charged to."""

    id: str
    owner: str
    lease: int
    meters: tuple[str, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(sorted({lease_key(self.id), *self.meters}))


class Cancel(Struct, frozen=True, gc=False):
    """Gives back what was reserved, because nothing was done."""

    id: str
    owner: str
    meters: tuple[str, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(sorted({lease_key(self.id), *self.meters}))


class OpenSession(Struct, frozen=True, gc=False):
    """Opens a session for a tenant's principal, which lives for this many microseconds after its last use."""

    key: str
    tenant: str
    principal: str
    life: int

    @property
    def keys(self) -> tuple[str, ...]:
        return (self.key,)


class Label(Struct, frozen=True, gc=False):
    """Adds labels to a session, or removes some; `completed` counts a call that returned."""

    key: str
    tenant: str
    principal: str
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    completed: str = ""
    since: int = 0

    @property
    def keys(self) -> tuple[str, ...]:
        return (self.key,)


class ReadSession(Struct, frozen=True, gc=False):
    """Reads a session. `attempted` counts a call that is about to be decided. With `opens` a session that does not
    exist begins now."""

    key: str
    tenant: str
    principal: str
    life: int
    attempted: str = ""
    opens: bool = False
    since: int = 0

    @property
    def keys(self) -> tuple[str, ...]:
        return (self.key,)


class ReadDocuments(Struct, frozen=True, gc=False):
    """Reads documents as they are."""

    named: tuple[str, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(sorted(self.named))


class Adjust(Struct, frozen=True, gc=False):
    """An operator's change to one meter: `reset` it, or `raise` its ceiling by an amount for this many microseconds; a
    `credit` is a raise until everything that can be counted now has left the window. `id` is that of its record."""

    id: str
    what: str
    meter: str
    rule: str
    by: tuple[str, ...]
    window: Window
    ceiling: int
    amount: int = 0
    length: int = 0
    why: str = ""
    who: str = ""

    @property
    def key(self) -> str:
        return f"{CHANGE}:{self.meter.rpartition(':')[2][:4]}:{self.id}"

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(sorted((self.meter, self.key)))


BlockOperation = Beat | Impose | ReadBlocks
Operation = (
    Commit
    | Hold
    | Release
    | Settle
    | Renew
    | Cancel
    | OpenSession
    | Label
    | ReadSession
    | ReadDocuments
    | Adjust
    | ApprovalOperation
    | BlockOperation
)


def only_charges(commit: Commit) -> bool:
    """Whether it only charges meters."""
    return (
        commit.session is None
        and commit.once is None
        and commit.approval is None
        and not commit.held
        and not commit.elsewhere
    )


def lasting(operation: Operation) -> bool:
    """Whether its effect must survive the loss of the server that carried it out: approvals, blocks, labels."""
    match operation:
        case Commit(session=session, approval=approval):
            return approval is not None or (session is not None and bool(session.labels))
        case Label(add=add, remove=remove):
            return bool(add or remove)
        case Impose() | Beat() | OpenTicket() | DecideTicket() | CloseTicket() | Keep():
            return True
    return False


def lease_key(id_: str) -> str:
    return f"lease:{id_}"


# ---- outcomes ----


class MeterUse(Struct, frozen=True, gc=False):
    """The state of a meter after an operation: millionths, and when it would be empty without further requests."""

    rule: str
    meter: str
    used: int
    ceiling: int
    resets_at: int


class LimitRefusal(Struct, frozen=True, gc=False):
    """A limit without room. `retry_at` is when there would be room without further requests; None for never. `tripped`
    is whether this refusal blocks the meter for a time."""

    rule: str
    meter: str
    used: int
    ceiling: int
    retry_at: int | None
    tripped: bool = False


class Done(Struct, frozen=True, gc=False):
    """The operation is done. `uses` are the concerned meters, in the order of the charges; `expires_at` is the end of
    the lease, `until` that of the approval that was used."""

    now: int
    uses: tuple[MeterUse, ...] = ()
    expires_at: int = 0
    replayed: str = ""
    until: int = 0


class Refused(Struct, frozen=True, gc=False):
    """Nothing was charged: these limits have no room."""

    now: int
    refusals: tuple[LimitRefusal, ...]


class Rejected(Struct, frozen=True, gc=False):
    """Nothing was done, for a reason other than room."""

    reason: str


class DocumentsFound(Struct, frozen=True, gc=False):
    """The documents that a Read named; the session that a ReadSession named; the document after an operation on
    approvals, or an earlier one that prevents it."""

    now: int
    documents: tuple[Document | None, ...]


Outcome = Done | Refused | Rejected | DocumentsFound

# The reasons for a Rejected.
CHANGED = "the session has changed"
REUSED = "the idempotency key belongs to another request"
UNKNOWN_LEASE = "there is no such reservation"
SPENT = "some of the reservation has been spent"
ENDED = "the reservation has ended"
UNKNOWN_SESSION = "there is no such session"
FULL = "the session is full"
TOO_MANY_RAISES = "the ceiling has too many raises at the same time"
TOO_MANY_BLOCKS = "too many blocks"
SKEWED = "the clocks of this host and of the store differ too much"
