"""Finds literals in the bytes of a text: every occurrence, including those that overlap, in the order of their ends.

Uses `ahocorasick-rs`, or Hyperscan if the extra `hyperscan` is installed. Both give the same places in the same order:
of those with the same end, the longest first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ahocorasick_rs import BytesAhoCorasick, Implementation

from policyengine.lazy_import import is_installed, library

hyperscan = library("hyperscan")

# The number of the literal, its start and its end.
LiteralPlace = tuple[int, int, int]
Places = Callable[[bytes], Sequence[LiteralPlace]]
SHORT = 4096
"""Below this length the automaton is done before Hyperscan has begun."""


def places_of(literals: Sequence[bytes]) -> Places:
    """A search for these literals, by the library that is installed."""
    plain = by_automaton(literals)
    if not is_installed("hyperscan"):
        return plain
    fast = by_hyperscan(literals)
    return lambda data: plain(data) if len(data) < SHORT else fast(data)


def by_automaton(literals: Sequence[bytes]) -> Places:
    automaton = BytesAhoCorasick(list(literals), implementation=Implementation.DFA)
    return lambda data: automaton.find_matches_as_indexes(data, overlapping=True)


def by_hyperscan(literals: Sequence[bytes]) -> Places:
    sizes = [len(literal) for literal in literals]
    database = hyperscan.Database()
    database.compile(
        expressions=list(literals), ids=list(range(len(literals))), elements=len(literals), flags=0, literal=True
    )

    def places(data: bytes) -> Sequence[LiteralPlace]:
        places_found: list[LiteralPlace] = []

        def note(index: int, start: int, end: int, flags: int, context: object) -> None:
            places_found.append((index, end - sizes[index], end))

        # Hyperscan writes to the scratch space during a search, so each search has its own: other threads may be
        # searching.
        database.scan(data, match_event_handler=note, scratch=hyperscan.Scratch(database))
        places_found.sort(key=lambda place: (place[2], place[1]))
        return places_found

    return places
