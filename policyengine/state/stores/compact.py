"""Plain commits on the wire: what `commit.lua` takes and answers, in a few bytes.

In: a commit. Out: the arguments of the script, or None for a commit that is not plain; and the outcome of its answer.
"""

from __future__ import annotations

from struct import Struct, unpack_from
from typing import Any

import msgspec

from policyengine.state import operations
from policyengine.state.operations import (
    Charge,
    Commit,
    Done,
    LimitRefusal,
    MeterUse,
    Outcome,
    Refused,
    Rejected,
    plain,
)
from policyengine.state.windows import Calendar, Sliding

_ENCODER = msgspec.msgpack.Encoder()
_HEAD, _CHARGE, _TIME = Struct(">dd"), Struct(">BddddddH"), Struct(">d")
_REFUSAL = Struct(">ddd")

# So many charges are remembered as they are written.
REMEMBERED = 16_384
MOST = 2**53 - 1


class Compact:
    """Writes plain commits."""

    def __init__(self) -> None:
        # By identity: charges are shared by all requests that ask the same of a meter.
        self._known: dict[int, tuple[Charge, bytes, bytes, str]] = {}

    def asked(self, commit: Commit, prefix: str) -> tuple[list[str], bytes, bytes] | None:
        """The keys of the meters, the charges, and what the lease keeps. `prefix` stands before every key, and is the
        same for a meter each time."""
        if not plain(commit):
            return None
        keys, parts, held = [], [_HEAD.pack(commit.lease, commit.keep)], []
        for charge in commit.charges:
            known = self._known.get(id(charge))
            if known is None or known[0] is not charge:
                written = _charge(charge)
                if written is None:
                    return None
                if len(self._known) >= REMEMBERED:
                    self._known.clear()
                known = self._known[id(charge)] = (charge, written, _held(charge, prefix), prefix + charge.meter)
            keys.append(known[3])
            parts.append(known[1])
            held.append(known[2])
        lease = b"\x83\xa5owner%b\xa4memo%b\xa7charges\xdc%b%b" % (
            _ENCODER.encode(commit.owner), _ENCODER.encode(commit.memo), len(held).to_bytes(2, "big"), b"".join(held),
        )  # fmt: skip
        return keys, b"".join(parts), lease


def _held(charge: Charge, prefix: str) -> bytes:
    held: dict[str, Any] = {"meter": prefix + charge.meter, "rule": charge.rule, "ceiling": charge.ceiling}
    if isinstance(charge.window, Sliding):
        held |= {"kind": "sliding", "width": charge.window.width}
    else:
        held["kind"] = "calendar"
    return _ENCODER.encode({**held, "reserved": charge.amount})


def _charge(charge: Charge) -> bytes | None:
    """One charge; None for a window or a ceiling that is not plain."""
    window = charge.window
    if charge.share is not None:
        return None
    if isinstance(window, Sliding):
        kind, edges = 1, (window.width, 0, 0, 0)
    elif isinstance(window, Calendar) and len(window.periods) == 3:
        (a, b), (_, c), (_, d) = window.periods
        kind, edges = 2, (a, b, c, d)
    else:
        return None
    meta = _ENCODER.encode((charge.rule, charge.by, charge.ceiling, *([window.width] if kind == 1 else [])))  # type: ignore[union-attr]
    if len(meta) > 0xFFFF:
        return None
    # What denies nothing has room for whatever can be counted.
    ceiling = MOST if charge.advisory else charge.ceiling
    return _CHARGE.pack(kind, charge.amount, ceiling, *edges, len(meta)) + meta


def outcome(told: bytes, commit: Commit) -> Outcome | None:
    """The outcome; None where nothing was done, and the other script has to be asked."""
    kind = told[:1]
    if kind == b"D":
        [now] = _TIME.unpack_from(told, 1)
        numbers = unpack_from(f">{2 * len(commit.charges)}d", told, 9)
        uses = [
            MeterUse(charge.rule, charge.meter, int(numbers[i]), charge.ceiling, int(numbers[i + 1]))
            for i, charge in zip(range(0, len(numbers), 2), commit.charges, strict=True)
        ]
        return Done(int(now), tuple(uses), int(now) + commit.lease)
    if kind == b"R":
        [now] = _TIME.unpack_from(told, 1)
        refusals = []
        for place, used, free in _REFUSAL.iter_unpack(told[9:]):
            charge = commit.charges[int(place)]
            if charge.advisory or charge.block_for:
                # The other script knows what a refusal leaves behind, and what is never refused.
                return None
            at = None if free < 0 else int(free)
            refusals.append(LimitRefusal(charge.rule, charge.meter, int(used), charge.ceiling, at))
        return Refused(int(now), tuple(refusals))
    return Rejected(operations.SKEWED) if kind == b"K" else None
