"""Documents in the format of `form.lua`, decoded in this process: a scan of all documents does not burden the server.

`form.lua` is the specification.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from struct import iter_unpack, unpack_from
from typing import Any, TypeVar

import msgspec

from policyengine.state.operations import Document

T = TypeVar("T")
_DECODER = msgspec.msgpack.Decoder(strict=False)
_SLIDING, _CALENDAR = ">ddddddH", ">dddddH"
_PAIR = ">dd"


def opened(text: bytes) -> Document:
    """The document of a meter, or any other MessagePack document."""
    match text[:1]:
        case b"S":
            now, _, _, last, newest, blocked, length = unpack_from(_SLIDING, text, 1)
            start = 1 + 6 * 8 + 2
            rest = text[start + length :]
            buckets = [[int(index), int(amount)] for index, amount in iter_unpack(_PAIR, rest)]
            if last >= 0:
                buckets.append([int(last), int(newest)])
            return {"now": int(now), "buckets": buckets, **_said(text[start : start + length], blocked)}
        case b"C":
            now, begins, ends, used, blocked, length = unpack_from(_CALENDAR, text, 1)
            start = 1 + 5 * 8 + 2
            said = _said(text[start : start + length], blocked)
            return {"now": int(now), "start": int(begins), "end": int(ends), "used": int(used), **said}
    document: Document = _DECODER.decode(text)
    return {name: {} if name == "leases" and value == [] else value for name, value in document.items()}


def _said(text: bytes, blocked: float) -> dict[str, Any]:
    said = dict(zip(("rule", "by", "ceiling", "width"), _DECODER.decode(text), strict=False))
    return {**said, "blocked": int(blocked)} if blocked else said


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items in lists of this size."""
    left = iter(items)
    while batch := list(islice(left, size)):
        yield batch


def escaped(text: str) -> str:
    """The text as a Redis pattern that matches only this text."""
    # A tenant may have the name `*`.
    return "".join(f"\\{each}" if each in "\\*?[]^-" else each for each in text)
