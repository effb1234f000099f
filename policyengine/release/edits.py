"""From findings to their replacements: the one meaning of "carried out".

If findings overlap, the strongest treatment applies to the overlap. A value that is hashed, tokenized or masked is one
match from end to end; if a preferred match overlaps it, there is no such value, and the rest of the match is redacted.
So is a match that reaches the width of its finders: its beginning may be out of sight. No character outside all
findings is ever changed, and whether a character is changed depends only on the text within reach of it, which is what
lets a stream do the same.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from policyengine.detect.finder import Begins
from policyengine.detect.finding import Finding, moved, place
from policyengine.detect.reserved import replacement
from policyengine.release.tokenizing import Keys
from policyengine.release.treatment import REDACT, Orders, Treatment

MASKED = "****"

Find = Callable[[str], Sequence[Finding]]


@dataclass(frozen=True, slots=True)
class Edit:
    """`text` replaces the characters from `start` to `end`. `run` identifies the kind of replacement: two adjacent
    edits of one run are one replacement."""

    start: int
    end: int
    text: str
    run: tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class _Match:
    start: int
    end: int
    kind: str
    treatment: Treatment

    @property
    def rank(self) -> tuple[tuple[int, int, str], int, int, str]:
        """Of two matches that overlap, the one with the greater rank is preferred."""
        return self.treatment.strength, self.end - self.start, -self.start, self.kind


def edits(
    text: str,
    findings: Sequence[Finding],
    orders: Orders,
    keys: Keys,
    width: int,
    parts: Sequence[Finding] = (),
) -> list[Edit]:
    """The edits, in the order of the text. `parts` are parts of matches that are not completely in this text: these are
    redacted. Raises NoKey."""
    matches = _matches(findings, orders)
    if parts:
        matches += [
            replace(match, treatment=REDACT if match.treatment.needs_value else match.treatment)
            for match in _matches(parts, orders)
        ]
        matches.sort(key=lambda match: (match.start, match.end))
    kept: list[_Match] = []
    removed: list[_Match] = []
    for match, dominated in _with_dominated(matches):
        if match.treatment.needs_value and not dominated and match.end - match.start < width:
            kept.append(match)
        elif match.treatment.needs_value:
            removed.append(_Match(match.start, match.end, match.kind, REDACT))
        else:
            removed.append(match)
    written = [Edit(match.start, match.end, _written(match, text, keys), None) for match in kept]
    return sorted([*written, *_runs(removed, kept)], key=lambda edit: edit.start)


def found_in(text: str, find: Find, borders: Sequence[int] = ()) -> Sequence[Finding]:
    """The findings in a text, and those that appear once these are removed: two adjacent values may only be recognized
    one after the other. If the text has parts, `borders` are where they meet."""
    return found_again(text, found_beside(text, borders, find), find, borders)


def found_beside(text: str, borders: Sequence[int], find: Find) -> Sequence[Finding]:
    """The findings in a text made of parts that meet at `borders`: a value may cross a border, or end there."""
    findings = find(text)
    if not borders:
        return findings
    parts = (
        moved(finding, finding.start + start, finding.end + start)
        for start, end in pairwise((0, *borders, len(text)))
        for finding in find(text[start:end])
    )
    return sorted({*findings, *parts}, key=place)


def settled(text: str, first: Sequence[Finding], until: int, begins: Begins) -> int:
    """The end, at most `until`, of the text in which nothing that follows changes the findings that begin there once
    `first` is removed."""
    masked, places = _masked(text, first)
    number = max(at for at, (_, was, _) in enumerate(places) if was <= until)
    start, was, own = places[number]
    begin = begins(masked[: start + until - was if own else places[number + 1][0]], 0)
    start, was, own = places[bisect_right(places, (begin, 1 << 62, True)) - 1]
    return min(until, was + begin - start if own else was)


def found_again(text: str, first: Sequence[Finding], find: Find, borders: Sequence[int] = ()) -> Sequence[Finding]:
    """The first findings, and those that appear once these are removed."""
    if not first:
        return first
    masked, places = _masked(text, first)
    second = [_placed(finding, places) for finding in found_beside(masked, _remaining_borders(borders, places), find)]
    return [*first, *second] if second else first


def _remaining_borders(borders: Sequence[int], places: list[_Place]) -> list[int]:
    """The borders between the parts of a masked text. A border at or inside a mark is dropped, because the mark is one
    piece."""
    still: list[int] = []
    at = 0
    for border in borders:
        while at + 1 < len(places) and places[at + 1][1] < border:
            at += 1
        start, was, own = places[at]
        if own and was < border and places[at + 1][1] > border:
            still.append(start + border - was)
    return still


# A stretch of a masked text: its start there and in the text itself, and whether it is the original text.
_Place = tuple[int, int, bool]


def _masked(text: str, findings: Sequence[Finding]) -> tuple[str, list[_Place]]:
    """The text with a mark of its kind for each covered stretch, and where everything was before."""
    parts: list[str] = []
    places: list[_Place] = []
    at = size = 0
    for start, end, kind in _covered(findings):
        places.append((size, at, True))
        parts.append(text[at:start])
        size += start - at
        mark = replacement(kind)
        places.append((size, start, False))
        parts.append(mark)
        size += len(mark)
        at = end
    places.append((size, at, True))
    parts.append(text[at:])
    places.append((size + len(text) - at, len(text), True))
    return "".join(parts), places


def _covered(findings: Sequence[Finding]) -> list[tuple[int, int, str]]:
    """The stretches that findings cover, in order, each with the kind that it begins with."""
    spans: list[tuple[int, int, str]] = []
    for finding in sorted(findings, key=lambda each: (each.start, each.kind)):
        if spans and finding.start <= spans[-1][1]:
            start, end, kind = spans[-1]
            spans[-1] = (start, max(end, finding.end), kind)
        else:
            spans.append((finding.start, finding.end, finding.kind))
    return spans


def _placed(found: Finding, places: list[_Place]) -> Finding:
    """The place of a finding in the masked text, in the text itself. One that reaches into a mark covers everything
    behind it."""
    first = bisect_right(places, (found.start, 1 << 62, True)) - 1
    last = bisect_right(places, (found.end - 1, 1 << 62, True)) - 1
    at, was, own = places[first]
    start = was + found.start - at if own else was
    at, was, own = places[last]
    end = was + found.end - at if own else places[last + 1][1]
    return moved(found, start, end)


def _matches(findings: Sequence[Finding], orders: Orders) -> list[_Match]:
    """The findings to be treated, by place; of those at one place, the strongest."""
    known: dict[str, Treatment | None] = {}
    strongest: dict[tuple[int, int], _Match] = {}
    for finding in findings:
        if finding.kind not in known:
            known[finding.kind] = orders.of(finding.kind)
        if (treatment := known[finding.kind]) is None:
            continue
        match, place = _Match(finding.start, finding.end, finding.kind, treatment), (finding.start, finding.end)
        if place not in strongest or match.rank > strongest[place].rank:
            strongest[place] = match
    return [strongest[place] for place in sorted(strongest)]


def _with_dominated(matches: list[_Match]) -> list[tuple[_Match, bool]]:
    """Each match, and whether a preferred one overlaps it. No match is longer than its finder's width, except those
    that are redacted anyway, so few are open at a time."""
    dominated = [False] * len(matches)
    open_: list[int] = []
    for at, match in enumerate(matches):
        open_ = [earlier for earlier in open_ if matches[earlier].end > match.start]
        for earlier in open_:
            weaker = at if matches[earlier].rank > match.rank else earlier
            dominated[weaker] = True
        open_.append(at)
    return list(zip(matches, dominated, strict=True))


def _runs(removed: list[_Match], kept: list[_Match]) -> list[Edit]:
    """One edit for each stretch of text that is removed, between the matches that are kept as values."""
    borders = sorted({at for match in (*removed, *kept) for at in (match.start, match.end)})
    runs: list[Edit] = []
    open_: list[_Match] = []
    next_index = 0
    values = {match.start: match.end for match in kept}
    value_until = 0
    for start, end in pairwise(borders):
        while next_index < len(removed) and removed[next_index].start <= start:
            open_.append(removed[next_index])
            next_index += 1
        open_ = [match for match in open_ if match.end > start]
        value_until = max(value_until, values.get(start, 0))
        if not open_ or value_until > start:
            continue
        strongest = max(open_, key=lambda match: (match.treatment.strength, match.kind))
        run = (strongest.treatment.how, strongest.treatment.text)
        if runs and runs[-1].end == start and runs[-1].run == run:
            runs[-1] = Edit(runs[-1].start, end, runs[-1].text, run)
        else:
            text = strongest.treatment.text if strongest.treatment.how == "replace" else replacement(strongest.kind)
            runs.append(Edit(start, end, text, run))
    return runs


def _written(match: _Match, text: str, keys: Keys) -> str:
    value = text[match.start : match.end]
    match match.treatment.how:
        case "hash":
            return replacement(match.kind, keys.hash(match.kind, value))
        case "tokenize":
            return f"[{match.kind}:{keys.token(match.kind, value)}]"
        case _:
            shown = min(match.treatment.keep, len(value) // 2)
            return MASKED + (value[-shown:] if shown else "")


def applied_apart(text: str, borders: Sequence[int], changes: Sequence[Edit]) -> list[str]:
    """The parts of a text with the edits carried out. The replacement of a match is in the part where the match
    begins."""
    texts: list[str] = []
    next_index = at = 0
    for end in (*borders, len(text)):
        parts: list[str] = []
        while next_index < len(changes) and changes[next_index].start < end:
            edit = changes[next_index]
            parts += text[at : edit.start], edit.text
            at = edit.end
            next_index += 1
        parts.append(text[at:end])
        at = max(at, end)
        texts.append("".join(parts))
    return texts


def applied(text: str, changes: Sequence[Edit]) -> str:
    """The text with the edits carried out."""
    return applied_apart(text, (), changes)[0]
