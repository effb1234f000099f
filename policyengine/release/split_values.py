"""Values that are split over adjacent texts that are not one text: messages of two speakers, pages of a file.

A reader of both texts could put the value together. Each text also ends where it ends, so a split value is found only
if neither text has a value of its kind there by itself.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from policyengine.detect.finding import Finding, moved
from policyengine.detect.registry import Registry, find_many, width
from policyengine.release.content import Content

# How words are written has no meaning across two texts.
_MANNER = "deceit."


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A part of a text that is read with its neighbours: the number of the text's reading, where the part begins, and
    whether the text goes on after it."""

    number: int
    start: int
    text: str
    goes_on: bool = False


def look_over(
    content: Content, kinds: Iterable[str], registry: Registry, looked: Sequence[Iterable[Finding]]
) -> tuple[list[list[Finding]], Mapping[int, list[Finding]]]:
    """The findings that continue from one reading into the next; `looked` has those within each reading. Returns them
    by reading, each once where it begins, with an end beyond the reading; and their parts, by the number of the
    reading. Raises as `find`."""
    if not content.beside or not (wanted := frozenset(kinds)):
        return [[] for _ in content.readings()], {}
    readings = content.readings()
    over: list[list[Finding]] = [[] for _ in readings]
    parts: dict[int, list[Finding]] = {}
    known = set[tuple[tuple[int, Finding], ...]]()
    numbers = {reading: at for at, reading in enumerate(readings)}
    for order in content.beside:
        texts = [_Stretch(numbers[reading], 0, content.joined(reading)[0]) for reading in order]
        for pieces in _going_over(texts, wanted, registry):
            if pieces in known or any(_has(looked[number], piece) for number, piece in pieces):
                continue
            known.add(pieces)
            number, first = pieces[0]
            over[number].append(
                moved(first, first.start, first.start + sum(piece.end - piece.start for _, piece in pieces))
            )
            for number, piece in pieces:
                parts.setdefault(number, []).append(piece)
    return over, parts


def _has(findings: Iterable[Finding], piece: Finding) -> bool:
    group = piece.kind.partition(".")[0]
    return any(
        finding.start < piece.end and piece.start < finding.end and finding.kind.partition(".")[0] == group
        for finding in findings
    )


def _going_over(
    texts: Sequence[_Stretch], wanted: frozenset[str], registry: Registry
) -> Iterator[tuple[tuple[int, Finding], ...]]:
    """Each match that crosses several of these texts, as its parts."""
    reach = width(wanted, registry)
    chains = [texts] if reach is None else _near_borders(texts, reach)
    findings = _found(chains, wanted, registry)
    if any(_is_cut(chain, chain_findings) for chain, chain_findings in zip(chains, findings, strict=True)):
        chains = [texts]
        findings = _found(chains, wanted, registry)
    for chain, chain_findings in zip(chains, findings, strict=True):
        starts = [0, *accumulate(len(stretch.text) for stretch in chain)]
        for finding in chain_findings:
            first, last = bisect_right(starts, finding.start) - 1, bisect_right(starts, finding.end - 1) - 1
            if first < last and not finding.kind.startswith(_MANNER):
                yield tuple(
                    (
                        chain[at].number,
                        moved(
                            finding,
                            chain[at].start + max(finding.start, starts[at]) - starts[at],
                            chain[at].start + min(finding.end, starts[at + 1]) - starts[at],
                        ),
                    )
                    for at in range(first, last + 1)
                )


def _near_borders(texts: Sequence[_Stretch], reach: int) -> list[list[_Stretch]]:
    """The parts within reach of where one text ends and the next begins."""
    chains: list[list[_Stretch]] = [[]]
    for stretch in texts:
        if len(stretch.text) <= 2 * reach:
            chains[-1].append(stretch)
        else:
            chains[-1].append(replace(stretch, text=stretch.text[:reach], goes_on=True))
            chains.append([replace(stretch, start=len(stretch.text) - reach, text=stretch.text[-reach:])])
    return [chain for chain in chains if len(chain) > 1]


def _found(
    chains: Sequence[Sequence[_Stretch]], wanted: frozenset[str], registry: Registry
) -> list[tuple[Finding, ...]]:
    return find_many(["".join(stretch.text for stretch in chain) for chain in chains], wanted, registry)


def _is_cut(chain: Sequence[_Stretch], findings: Iterable[Finding]) -> bool:
    """Whether a match may reach beyond what was read of these texts."""
    start, end = len(chain[0].text), sum(len(stretch.text) for stretch in chain)
    border = end - len(chain[-1].text)
    return any(
        (chain[0].start > 0 and finding.start == 0 and finding.end > start)
        or (chain[-1].goes_on and finding.end == end and finding.start < border)
        for finding in findings
    )
