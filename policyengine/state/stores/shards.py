"""An operation on several shards, as operations on one shard each: written once, without I/O.

`steps` is a generator: it yields operations to carry out at the same time, and receives their answers.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from typing import assert_never

from msgspec.structs import replace

from policyengine.state import operations
from policyengine.state.approval_operations import CloseTicket, DecideTicket, Enter, Keep, OpenTicket, TellTicket
from policyengine.state.block_operations import KEY, Beat, Impose, ReadBlocks
from policyengine.state.operations import (
    Adjust,
    Cancel,
    Charge,
    Commit,
    DocumentsFound,
    Done,
    Hold,
    Label,
    LimitRefusal,
    MeterUse,
    OpenSession,
    Operation,
    Outcome,
    ReadDocuments,
    ReadSession,
    Refused,
    Rejected,
    Release,
    Renew,
    Settle,
    lease_key,
)
from policyengine.state.shard_places import place, place_of
from policyengine.state.store import StoreError

# How long room is held for a commit, in microseconds.
HOLD = 10_000_000

Answer = Outcome | StoreError
ShardSteps = Generator[Sequence[Operation], Sequence[Answer], Outcome]


def home(operation: Operation) -> str:
    """The place of everything that an operation on one shard reads and writes."""
    match operation:
        case Commit() | Settle() | Renew() | Cancel() | Release():
            return place_of(lease_key(operation.id))
        case OpenSession() | ReadSession() | Label():
            return place(operation.tenant)
        case Hold():
            return place_of(operation.charges[0].meter) if operation.charges else place("")
        case ReadDocuments():
            return place_of(operation.named[0]) if operation.named else place("")
        case OpenTicket() | DecideTicket() | CloseTicket() | TellTicket() | Enter() | Keep():
            return place_of(operation.key)
        case Adjust():
            return place_of(operation.meter)
        case Beat():
            return place_of(operation.key)
        case Impose() | ReadBlocks():
            return place_of(KEY)
    assert_never(operation)


def steps(operation: Operation) -> ShardSteps | None:
    """The steps of an operation over several shards; None for one that concerns one shard."""
    match operation:
        case Commit():
            away = _away(operation.charges, home(operation))
            return _commit(operation, away) if away else None
        case Settle():
            groups = _grouped((meter for meter, _ in operation.windows), home(operation))
            return _settle(operation, groups) if groups else None
        case Renew() | Cancel():
            groups = _grouped(operation.meters, home(operation))
            if not groups:
                return None
            return _renew(operation, groups) if isinstance(operation, Renew) else _cancel(operation, groups)
        case ReadDocuments():
            return _read(operation) if len({place_of(key) for key in operation.named}) > 1 else None
    return None


def _id(where: str, id_: str) -> str:
    """The id of a reservation's part on another shard."""
    return f"{where}~{id_}"


def _grouped(meters: Iterable[str], here: str) -> dict[str, tuple[str, ...]]:
    groups: dict[str, tuple[str, ...]] = {}
    for meter in meters:
        where = place_of(meter)
        if where != here:
            groups[where] = (*groups.get(where, ()), meter)
    return groups


def _away(charges: tuple[Charge, ...], here: str) -> dict[str, tuple[Charge, ...]]:
    groups = _grouped((charge.meter for charge in charges), here)
    return {where: tuple(c for c in charges if c.meter in meters) for where, meters in groups.items()}


def _commit(commit: Commit, away: dict[str, tuple[Charge, ...]]) -> ShardSteps:
    elsewhere = tuple(charge for charges in away.values() for charge in charges)
    here = tuple(charge for charge in commit.charges if charge not in elsewhere)
    rest = replace(commit, charges=here, elsewhere=elsewhere)
    parts = [
        Commit(_id(where, commit.id), commit.owner, charges, commit.lease, commit.keep, held=True)
        for where, charges in away.items()
    ]
    releases = [Release(part.id, part.owner, part.charges) for part in parts]
    # A retry gets the first answer: a new hold would compete with its own charge.
    earlier = commit.once is not None and _first((yield [ReadDocuments((commit.once,))]))
    is_retry = isinstance(earlier, DocumentsFound) and earlier.documents[0] is not None
    if not is_retry:
        # If a shard is unavailable, the holds on the others expire by themselves: nobody waits for their release.
        held = _sure((yield [Hold(part.id, part.charges, HOLD) for part in parts]))
        if any(not isinstance(answer, Done) for answer in held):
            # Other limits without room are included, so that the answer says when all of them will have room.
            held_here = Hold(commit.id, here, HOLD)
            held_answers = yield [*releases, held_here] if here else releases
            if here and isinstance(held_answers[-1], Done):
                yield [Release(commit.id, commit.owner, here)]
            return _merged(_sure([*held, held_answers[-1]] if here else held), commit)
    if commit.once is None:
        first, *others = yield [rest, *parts]
    else:
        # Of several simultaneous retries only one is granted: only its holds may be charged.
        [first] = yield [rest]
        others = list((yield parts)) if isinstance(first, Done) else []
    if isinstance(first, StoreError):
        raise first
    if not isinstance(first, Done):
        if not is_retry and first != Rejected(operations.REUSED):
            yield releases
        return first
    uses = [use for answer in (first, *_sure(others)) if isinstance(answer, Done) for use in answer.uses]
    return replace(first, uses=_in_order(uses, [charge.meter for charge in commit.charges]))


def _first(answers: Sequence[Answer]) -> Outcome:
    return _sure(answers)[0]


def _merged(answers: Sequence[Outcome], commit: Commit) -> Outcome:
    """All refusals, by the clock of the first."""
    refused = [answer for answer in answers if isinstance(answer, Refused)]
    if not refused:
        return next(answer for answer in answers if not isinstance(answer, Done))
    now, refusals = refused[0].now, list[LimitRefusal]()
    for answer in refused:
        for refusal in answer.refusals:
            at = None if refusal.retry_at is None else refusal.retry_at - answer.now + now
            refusals.append(replace(refusal, retry_at=at))
    order = [charge.meter for charge in commit.charges]
    return Refused(now, tuple(sorted(refusals, key=lambda refusal: order.index(refusal.meter))))


def _settle(settle: Settle, groups: dict[str, tuple[str, ...]]) -> ShardSteps:
    # The tenant's shard comes last: until then the reservation is open, and can be settled again.
    others = yield [
        replace(
            settle,
            id=_id(where, settle.id),
            actual=tuple(actual for actual in settle.actual if actual[0] in meters),
            windows=tuple(window for window in settle.windows if window[0] in meters),
        )
        for where, meters in groups.items()
    ]
    # This shard does not know whether the same was recorded before; the shards with the charges may.
    refused = next((answer for answer in _sure(others) if not isinstance(answer, Done)), None)
    if refused is not None:
        return refused
    away = {meter for meters in groups.values() for meter in meters}
    [first] = _sure(
        (yield [replace(settle, windows=tuple(window for window in settle.windows if window[0] not in away))])
    )
    if not isinstance(first, Done):
        return first
    uses = [use for answer in (first, *others) if isinstance(answer, Done) for use in answer.uses]
    return replace(first, uses=_in_order(uses, [meter for meter, _ in settle.windows]))


def _renew(renew: Renew, groups: dict[str, tuple[str, ...]]) -> ShardSteps:
    away = {meter for meters in groups.values() for meter in meters}
    # The tenant's shard comes first: a reservation that has ended there must not be extended on the others.
    [first] = _sure((yield [replace(renew, meters=tuple(meter for meter in renew.meters if meter not in away))]))
    if isinstance(first, Done):
        _sure((yield [replace(renew, id=_id(where, renew.id), meters=meters) for where, meters in groups.items()]))
    return first


def _cancel(cancel: Cancel, groups: dict[str, tuple[str, ...]]) -> ShardSteps:
    parts = [replace(cancel, id=_id(where, cancel.id), meters=meters) for where, meters in groups.items()]
    # All leases are read before any is cancelled: a partly spent reservation could not be restored.
    leases = _sure((yield [ReadDocuments((lease_key(part.id),)) for part in parts]))
    for lease in leases:
        document = lease.documents[0] if isinstance(lease, DocumentsFound) else None
        if document is not None and document["owner"] == cancel.owner and any(c["spent"] for c in document["charges"]):
            return Rejected(operations.SPENT)
    away = {meter for meters in groups.values() for meter in meters}
    [first] = _sure((yield [replace(cancel, meters=tuple(meter for meter in cancel.meters if meter not in away))]))
    if isinstance(first, Done):
        _sure((yield parts))
    return first


def _read(asked: ReadDocuments) -> ShardSteps:
    answers = _sure((yield [ReadDocuments((key,)) for key in asked.named]))
    documents = [answer for answer in answers if isinstance(answer, DocumentsFound)]
    return DocumentsFound(max(answer.now for answer in documents), tuple(answer.documents[0] for answer in documents))


def _sure(answers: Sequence[Answer]) -> list[Outcome]:
    """The answers; raises if one is missing."""
    for answer in answers:
        if isinstance(answer, StoreError):
            raise answer
    return list(answers)  # type: ignore[arg-type]


def _in_order(uses: list[MeterUse], meters: list[str]) -> tuple[MeterUse, ...]:
    return tuple(sorted(uses, key=lambda use: meters.index(use.meter) if use.meter in meters else len(meters)))
