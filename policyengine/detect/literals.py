"""Where some literals stand in the bytes of a text: every one of them, those that overlap included, by where they end.

`ahocorasick-rs` tells, or Hyperscan where the extra `hyperscan` is installed. Both say the same, in the same order: at
one end the longest first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ahocorasick_rs import BytesAhoCorasick, Implementation

from policyengine.lazy_import import is_installed, library

hyperscan = library("hyperscan")

# Which literal, and where it begins and ends.
Place = tuple[int, int, int]
Places = Callable[[bytes], Sequence[Place]]
SHORT = 4096
"""Below this length the automaton is done before Hyperscan has begun."""


def places_of(literals: Sequence[bytes]) -> Places:
    """With the library that is there."""
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

    def places(data: bytes) -> Sequence[Place]:
        places_found: list[Place] = []

        def note(index: int, start: int, end: int, flags: int, context: object) -> None:
            places_found.append((index, end - sizes[index], end))

        # What Hyperscan writes to while it looks: each text has its own, whatever other threads look at.
        database.scan(data, match_event_handler=note, scratch=hyperscan.Scratch(database))
        places_found.sort(key=lambda place: (place[2], place[1]))
        return places_found

    return places
