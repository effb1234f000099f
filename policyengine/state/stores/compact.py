"""Plain commits on the wire: the arguments and answers of `commit.lua`, in a few bytes.

In: a commit. Out: the arguments of the script, or None for a commit that is not plain; and the outcome from its answer.
"""

from __future__ import annotations

from struct import Struct
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
    lease_key,
    only_charges,
)
from policyengine.state.relative_ceilings import MOST
from policyengine.state.windows import Calendar, Sliding

_ENCODER = msgspec.msgpack.Encoder()
_HEAD, _CHARGE, _TIME = Struct(">dd"), Struct(">BddddddH"), Struct(">d")
_USE, _ONE, _REFUSAL = Struct(">dd"), Struct(">ddd"), Struct(">ddd")

# How many charges are remembered in their written form.
REMEMBERED = 16_384


class Compact:
    """Writes plain commits. `prefix` is put before every key, and is the same for a meter each time."""

    def __init__(self) -> None:
        # By identity: requests with the same charge to a meter share the object.
        self._known: dict[int, tuple[Charge, bytes, bytes, bytes]] = {}
        # The beginning of a script's call, by the number of keys.
        self._begins: dict[int, bytes] = {}

    def asked(self, commit: Commit, prefix: str) -> tuple[list[bytes], bytes, bytes] | None:
        """The keys of the meters and of the lease, the charges, and what the lease keeps."""
        if not only_charges(commit):
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
                held_of, key = _held(charge, prefix), (prefix + charge.meter).encode()
                known = self._known[id(charge)] = (charge, written, held_of, key)
            keys.append(known[3])
            parts.append(known[1])
            held.append(known[2])
        keys.append((prefix + lease_key(commit.id)).encode())
        lease = b"\x83\xa5owner%b\xa4memo%b\xa7charges\xdc%b%b" % (
            _ENCODER.encode(commit.owner), _ENCODER.encode(commit.memo), len(held).to_bytes(2, "big"), b"".join(held),
        )  # fmt: skip
        return keys, b"".join(parts), lease

    def sent(self, commit: Commit, prefix: str, digest: str, time: str) -> bytes | None:
        """The call of the script, in wire format."""
        if (asked := self.asked(commit, prefix)) is None:
            return None
        keys, charges, lease = asked
        begins = self._begins.get(len(keys))
        if begins is None:
            shape = b"*%d\r\n$7\r\nEVALSHA\r\n$%d\r\n%b\r\n$%d\r\n%d\r\n"
            name, count = digest.encode(), len(keys)
            begins = shape % (6 + count, len(name), name, len(str(count)), count)
            begins = self._begins[count] = begins + b"$%d\r\n%b\r\n" * (count + 3)
        if len(keys) == 2:
            meter, kept = keys
            return begins % (
                len(meter), meter, len(kept), kept, len(time), time.encode(), len(charges), charges, len(lease), lease
            )  # fmt: skip
        parts = (*keys, time.encode(), charges, lease)
        return begins % tuple([each for part in parts for each in (len(part), part)])


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
    # A charge that is never refused has room for any amount.
    ceiling = MOST if charge.advisory else charge.ceiling
    return _CHARGE.pack(kind, charge.amount, ceiling, *edges, len(meta)) + meta


def outcome(answer: bytes, commit: Commit) -> Outcome | None:
    """The outcome; None if nothing was done, and the other script has to be called."""
    kind = answer[:1]
    if kind == b"D":
        charges = commit.charges
        if len(charges) == 1:
            [charge], (now, used, ends) = charges, _ONE.unpack_from(answer, 1)
            use = MeterUse(charge.rule, charge.meter, int(used), charge.ceiling, int(ends))
            return Done(int(now), (use,), int(now) + commit.lease)
        [now] = _TIME.unpack_from(answer, 1)
        uses = [
            MeterUse(charge.rule, charge.meter, int(used), charge.ceiling, int(ends))
            for charge, (used, ends) in zip(charges, _USE.iter_unpack(answer[9:]), strict=True)
        ]
        return Done(int(now), tuple(uses), int(now) + commit.lease)
    if kind == b"R":
        [now] = _TIME.unpack_from(answer, 1)
        refusals = []
        for place, used, free in _REFUSAL.iter_unpack(answer[9:]):
            charge = commit.charges[int(place)]
            if charge.advisory or charge.block_for:
                # The other script handles the effects of a refusal, and charges that are never refused.
                return None
            at = None if free < 0 else int(free)
            refusals.append(LimitRefusal(charge.rule, charge.meter, int(used), charge.ceiling, at))
        return Refused(int(now), tuple(refusals))
    return Rejected(operations.SKEWED) if kind == b"K" else None
