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

# How words are written says nothing over two texts.
_MANNER = "deceit."


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A part of a text that is read with its neighbours: the number of the text's reading, where the part begins, and
    whether the text goes on behind it."""

    number: int
    start: int
    text: str
    goes_on: bool = False


def look_over(
    content: Content, kinds: Iterable[str], registry: Registry, looked: Sequence[Iterable[Finding]]
) -> tuple[list[list[Finding]], Mapping[int, list[Finding]]]:
    """What goes on from one reading into the next, where `looked` is what each has by itself: by reading, each once
    where it begins, its end counted on; and the parts of them, by the number of the reading. Raises as `find`."""
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
            over[number].append(moved(first, first.start, first.start + sum(one.end - one.start for _, one in pieces)))
            for number, piece in pieces:
                parts.setdefault(number, []).append(piece)
    return over, parts


def _has(looked: Iterable[Finding], piece: Finding) -> bool:
    group = piece.kind.partition(".")[0]
    return any(
        one.start < piece.end and piece.start < one.end and one.kind.partition(".")[0] == group for one in looked
    )


def _going_over(
    texts: Sequence[_Stretch], wanted: frozenset[str], registry: Registry
) -> Iterator[tuple[tuple[int, Finding], ...]]:
    """Each match that is in several of these texts, as its parts."""
    reach = width(wanted, registry)
    chains = [texts] if reach is None else _near(texts, reach)
    findings = _found(chains, wanted, registry)
    if any(_is_cut(chain, those) for chain, those in zip(chains, findings, strict=True)):
        chains = [texts]
        findings = _found(chains, wanted, registry)
    for chain, those in zip(chains, findings, strict=True):
        starts = [0, *accumulate(len(one.text) for one in chain)]
        for one in those:
            first, last = bisect_right(starts, one.start) - 1, bisect_right(starts, one.end - 1) - 1
            if first < last and not one.kind.startswith(_MANNER):
                yield tuple(
                    (
                        chain[at].number,
                        moved(
                            one,
                            chain[at].start + max(one.start, starts[at]) - starts[at],
                            chain[at].start + min(one.end, starts[at + 1]) - starts[at],
                        ),
                    )
                    for at in range(first, last + 1)
                )


def _near(texts: Sequence[_Stretch], reach: int) -> list[list[_Stretch]]:
    """What is within reach of where one text ends and the next begins."""
    chains: list[list[_Stretch]] = [[]]
    for one in texts:
        if len(one.text) <= 2 * reach:
            chains[-1].append(one)
        else:
            chains[-1].append(replace(one, text=one.text[:reach], goes_on=True))
            chains.append([replace(one, start=len(one.text) - reach, text=one.text[-reach:])])
    return [chain for chain in chains if len(chain) > 1]


def _found(
    chains: Sequence[Sequence[_Stretch]], wanted: frozenset[str], registry: Registry
) -> list[tuple[Finding, ...]]:
    return find_many(["".join(one.text for one in chain) for chain in chains], wanted, registry)


def _is_cut(chain: Sequence[_Stretch], found: Iterable[Finding]) -> bool:
    """Whether a match may reach beyond what was read of these texts."""
    start, end = len(chain[0].text), sum(len(one.text) for one in chain)
    border = end - len(chain[-1].text)
    return any(
        (chain[0].start > 0 and one.start == 0 and one.end > start)
        or (chain[-1].goes_on and one.end == end and one.start < border)
        for one in found
    )
