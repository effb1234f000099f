"""What a finder returns: a kind, a place and a score. Never the value that is there."""

from __future__ import annotations

import msgspec


# A Struct takes a tenth of the time of a dataclass to make, and there are many.
class Finding(msgspec.Struct, frozen=True, gc=False):
    """`start` and `end` are code points of the text, half open. `score` is between 0 and 1."""

    kind: str
    start: int
    end: int
    score: float
    detector: str


def place(found: Finding) -> tuple[int, int, str, float, str]:
    """The order of findings: by place, then kind, then highest score first."""
    return found.start, found.end, found.kind, -found.score, found.detector


def moved(found: Finding, start: int, end: int) -> Finding:
    """The same finding in another place."""
    return Finding(found.kind, start, end, found.score, found.detector)


def covers(group: str, kind: str) -> bool:
    """Whether the kind that a policy names includes this one: `secret` covers `secret.github_token`."""
    return kind == group or kind.startswith(group + ".")
