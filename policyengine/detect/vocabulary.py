"""Words and patterns of one's own: data that comes in with the settings or the bundle, per tenant if need be.

A Vocabulary is a value. Two equal ones make equal finders.
"""

from __future__ import annotations

from dataclasses import dataclass

LONGEST_PATTERN = 256


@dataclass(frozen=True, slots=True)
class Pattern:
    """An RE2 expression of one's own. `width` is the longest match, its surroundings included."""

    kind: str
    regex: str
    score: float = 0.9
    width: int = LONGEST_PATTERN


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """`regions` are ISO 3166 codes: whose telephone numbers and identifiers are written without a country. `languages`
    are ISO 639 codes: as which of them write street addresses and dates of birth; None: all that are known.
    `allowed` are values that are never a finding; `words` are (kind, word) pairs that always are one. `link_hosts`
    None: links are not a finding; otherwise links to any other host are, and a host stands for its subdomains.
    `canaries` are tokens that `canary.mint` made; `fingerprints` are what `leakage.fingerprint` made of texts."""

    regions: frozenset[str] = frozenset({"US", "GB"})
    languages: frozenset[str] | None = None
    patterns: tuple[Pattern, ...] = ()
    words: tuple[tuple[str, str], ...] = ()
    allowed: frozenset[str] = frozenset()
    link_hosts: frozenset[str] | None = None
    canaries: tuple[str, ...] = ()
    fingerprints: frozenset[int] = frozenset()
