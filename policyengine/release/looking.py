"""Looking at content: what finders find in it, as rules read it and as people may see it. Never a value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from policyengine.detect.finding import Finding
from policyengine.detect.registry import Registry, find, find_many
from policyengine.release.content import Content, Segment
from policyengine.release.edits import found_in


@dataclass(frozen=True, slots=True)
class Found:
    """One finding. `start` and `end` are characters of the text at `path`, a JSON pointer that is empty for a text;
    `source` is whose words it is in, where that is known."""

    kind: str
    start: int
    end: int
    score: float
    detector: str
    path: str = ""
    source: str = ""


def look(content: Content, kinds: Iterable[str], registry: Registry) -> list[list[Finding]]:
    """What is found in each segment. Raises DetectorFailed, and UnknownKind for a kind that nothing finds."""
    wanted = frozenset(kinds)
    texts = [segment.before + segment.text for segment in content.segments]
    findings = find_many(texts, wanted, registry)
    return [_within(segment, those) for segment, those in zip(content.segments, findings, strict=True)]


def look_twice(content: Content, kinds: Iterable[str], registry: Registry) -> list[list[Finding]]:
    """As `look`, with what is found once that is gone: all that has to be treated."""
    wanted = frozenset(kinds)

    def look_at(text: str) -> Sequence[Finding]:
        return find(text, wanted, registry)

    return [_within(segment, found_in(segment.before + segment.text, look_at)) for segment in content.segments]


def _within(segment: Segment, found: Iterable[Finding]) -> list[Finding]:
    """The findings in the text itself: what begins before it is cut where it begins."""
    shift, size = len(segment.before), len(segment.text)
    if not shift:
        return list(found)
    return [
        Finding(one.kind, max(0, one.start - shift), min(size, one.end - shift), one.score, one.detector)
        for one in found
        if one.end > shift and one.start - shift < size
    ]


def account(content: Content, found: list[list[Finding]]) -> tuple[Found, ...]:
    """All findings, for people and for the answer."""
    return tuple(
        Found(one.kind, one.start, one.end, one.score, one.detector, segment.path, segment.source)
        for segment, those in zip(content.segments, found, strict=True)
        for one in those
    )


def as_attributes(found: Iterable[Found], *, with_source: bool = False) -> dict[str, Any]:
    """`findings` and `found`, as rules read them."""
    every, records = list(found), list[Mapping[str, Any]]()
    for one in every:
        record = {
            "kind": one.kind.partition(".")[0], "type": one.kind, "start": one.start, "end": one.end,
            "score": one.score, "detector": one.detector,
        }  # fmt: skip
        records.append({**record, "source": one.source} if with_source else record)
    return {"findings": as_kinds(one.kind for one in every), "found": records}


def as_kinds(kinds: Iterable[str]) -> list[str]:
    """Kinds as rules read them: of `secret.github_token` also `secret`."""
    whole: set[str] = set()
    for parts in (kind.split(".") for kind in set(kinds)):
        whole.update(".".join(parts[:many]) for many in range(1, len(parts) + 1))
    return sorted(whole)
