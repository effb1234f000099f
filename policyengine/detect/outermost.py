"""Those findings of one kind that are not inside another one."""

from __future__ import annotations

from collections.abc import Iterable

from policyengine.detect.finding import Finding


def outermost(found: Iterable[Finding]) -> list[Finding]:
    """Sorted; of two in the same place, the one with the higher score. A finding inside another one adds nothing."""
    those = list(found)
    last: Finding | None = None
    for one in those:
        if last is not None and (one.kind != last.kind or one.start < last.end):
            break
        last = one
    else:
        return those
    kept: list[Finding] = []
    for one in sorted(those, key=lambda f: (f.kind, f.start, -f.end, -f.score)):
        if not kept or kept[-1].kind != one.kind or one.end > kept[-1].end:
            kept.append(one)
    return kept
