"""Scans content: the findings, in the form that rules read and in the form that people may see. Never a value."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from policyengine.detect.finding import Finding, moved, place
from policyengine.detect.registry import Registry, find, find_many
from policyengine.release.content import Content, Segment
from policyengine.release.edits import found_again, found_beside, found_in
from policyengine.release.split_values import look_over


@dataclass(frozen=True, slots=True)
class ContentFinding:
    """One finding. `start` and `end` are characters of the text at `path`, a JSON pointer that is empty for a text;
    `end` is beyond that text if the value continues in the next block. `source` is whose words it is in, if that is
    known."""

    kind: str
    start: int
    end: int
    score: float
    detector: str
    path: str = ""
    source: str = ""


def look(content: Content, kinds: Iterable[str], registry: Registry) -> list[list[Finding]]:
    """The findings in each reading. Raises DetectorFailed, and UnknownKind for a kind that no finder finds."""
    wanted = frozenset(kinds)
    texts = [segment.before + segment.text for segment in content.segments]
    findings = find_many(texts, wanted, registry)
    single = [_within(segment, those) for segment, those in zip(content.segments, findings, strict=True)]
    for number, segment in enumerate(content.segments):
        if segment.borders:
            single[number] = list(found_beside(segment.text, segment.borders, partial(_found, wanted, registry)))
    looked = _read_on(content, single, wanted, registry) if content.runs else single
    over, parts = look_over(content, wanted, registry, looked)
    return [[*those, *more] for those, more in zip(looked, over, strict=True)] if parts else looked


def _read_on(
    content: Content, single: list[list[Finding]], wanted: frozenset[str], registry: Registry
) -> list[list[Finding]]:
    """The findings in each reading, given those in each segment."""
    whole = [content.joined(run) for run in content.runs]
    over = dict(zip(content.runs, find_many([text for text, _ in whole], wanted, registry), strict=True))
    borders = {run: starts for run, (_, starts) in zip(content.runs, whole, strict=True)}
    return [
        single[reading[0]]
        if len(reading) == 1
        else sorted({*over[reading], *_shifted(reading, borders[reading], single)}, key=place)
        for reading in content.readings()
    ]


def look_twice(content: Content, kinds: Iterable[str], registry: Registry) -> list[list[Finding]]:
    """As `look`, with the findings that appear once these are removed: everything that has to be treated."""
    wanted = frozenset(kinds)
    look_at = partial(_found, wanted, registry)
    looked: list[list[Finding]] = []
    whole: list[int] = []
    readings = content.readings()
    for number, reading in enumerate(readings):
        if len(reading) > 1:
            text, borders = content.joined(reading)
            looked.append(list(found_in(text, look_at, borders)))
        elif (segment := content.segments[reading[0]]).borders:
            looked.append(_within(segment, found_in(segment.before + segment.text, look_at, segment.borders)))
        else:
            # Nearly all content has only single segments, and many of these are scanned faster together.
            looked.append([])
            whole.append(number)
    segments = [content.segments[readings[number][0]] for number in whole]
    texts = [segment.before + segment.text for segment in segments]
    for number, segment, text, first in zip(whole, segments, texts, find_many(texts, wanted, registry), strict=True):
        if first:
            looked[number] = _within(segment, found_again(text, first, look_at))
    return looked


def _found(kinds: frozenset[str], registry: Registry, text: str) -> Sequence[Finding]:
    return find(text, kinds, registry)


def _shifted(reading: Sequence[int], borders: Sequence[int], single: list[list[Finding]]) -> Iterator[Finding]:
    for number, shift in zip(reading, (0, *borders), strict=True):
        for one in single[number]:
            yield moved(one, one.start + shift, one.end + shift)


def _within(segment: Segment, findings: Iterable[Finding]) -> list[Finding]:
    """The findings in the text itself: one that begins before the text is cut at its start."""
    shift, size = len(segment.before), len(segment.text)
    if not shift:
        return list(findings)
    return [
        Finding(
            finding.kind, max(0, finding.start - shift), min(size, finding.end - shift), finding.score, finding.detector
        )
        for finding in findings
        if finding.end > shift and finding.start - shift < size
    ]


def account(content: Content, found: list[list[Finding]]) -> tuple[ContentFinding, ...]:
    """All findings, for people and for the answer."""
    listed: list[ContentFinding] = []
    for reading, reading_findings in zip(content.readings(), found, strict=True):
        borders = content.joined(reading)[1] if len(reading) > 1 and reading_findings else []
        for finding in reading_findings:
            # Listed once, where it begins: if a finding continues in the next segment, its end goes beyond this one.
            at = bisect_right(borders, finding.start)
            shift = borders[at - 1] if at else 0
            segment = content.segments[reading[at]]
            listed.append(
                ContentFinding(
                    finding.kind,
                    finding.start - shift,
                    finding.end - shift,
                    finding.score,
                    finding.detector,
                    segment.path,
                    segment.source,
                )
            )
    return tuple(listed)


def as_attributes(found: Iterable[ContentFinding], *, with_source: bool = False) -> dict[str, Any]:
    """`findings` and `found`, as rules read them."""
    every, records = list(found), list[Mapping[str, Any]]()
    for finding in every:
        record = {
            "kind": finding.kind.partition(".")[0], "type": finding.kind, "start": finding.start, "end": finding.end,
            "score": finding.score, "detector": finding.detector,
        }  # fmt: skip
        records.append({**record, "source": finding.source} if with_source else record)
    return {"findings": as_kinds(finding.kind for finding in every), "found": records}


def as_kinds(kinds: Iterable[str]) -> list[str]:
    """Kinds in the form that rules read: for `secret.github_token` also `secret`."""
    whole: set[str] = set()
    for parts in (kind.split(".") for kind in set(kinds)):
        whole.update(".".join(parts[:many]) for many in range(1, len(parts) + 1))
    return sorted(whole)
