"""What the reader of a stream need not keep, so that the findings in the rest are the findings in the whole.

It follows from the law of `finder.py`, for every finder alike.
"""

from __future__ import annotations

from collections.abc import Sequence

from policyengine.detect.finding import Finding

KEPT = 4
"""So many widths before the place that has been reached are kept, to look at."""


def forgettable(found: Sequence[Finding], done: int, width: int) -> list[tuple[int, int]]:
    """The parts of a text, in order, that can be left out once everything up to `done` has been processed. `found` are
    the findings in it.

    A match that began farther back and still goes on is identified by its beginning, so that is kept: of each kind, the
    first."""
    edge = done - KEPT * width
    if edge <= 0:
        return []
    first: dict[str, int] = {}
    for one in found:
        if one.start < edge and one.end >= done and one.start < first.get(one.kind, done):
            first[one.kind] = one.start
    parts, at = [], 0
    for start in sorted(set(first.values())):
        low, high = max(start - width, at), min(start + width, edge)
        if low > at:
            parts.append((at, low))
        at = max(at, high)
    if at < edge:
        parts.append((at, edge))
    return parts


def without(text: str, parts: Sequence[tuple[int, int]]) -> str:
    """The text with these parts left out."""
    for start, end in reversed(parts):
        text = text[:start] + text[end:]
    return text
