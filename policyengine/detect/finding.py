"""What a finder says: a kind, a place and how sure it is. Never the value that stands there."""

from __future__ import annotations

import msgspec


# Made in a tenth of the time of a dataclass, and there are many.
class Finding(msgspec.Struct, frozen=True, gc=False):
    """`start` and `end` are code points of the text, half open. `score` is between 0 and 1."""

    kind: str
    start: int
    end: int
    score: float
    detector: str


def place(found: Finding) -> tuple[int, int, str, float, str]:
    """The order of findings: by place, then kind, the surest first."""
    return found.start, found.end, found.kind, -found.score, found.detector


def moved(found: Finding, start: int, end: int) -> Finding:
    """The same finding in another place."""
    return Finding(found.kind, start, end, found.score, found.detector)


def covers(group: str, kind: str) -> bool:
    """Whether a kind as a policy names it means this one: `secret` covers `secret.github_token`."""
    return kind == group or kind.startswith(group + ".")
