"""The user's own words and patterns: data that comes in with the settings or the bundle, per tenant if need be.

A Vocabulary is a value. Two equal ones make equal finders.
"""

from __future__ import annotations

from dataclasses import dataclass

LONGEST_PATTERN = 256


@dataclass(frozen=True, slots=True)
class Pattern:
    """The user's own RE2 expression. `width` is the longest match, including its surroundings."""

    kind: str
    regex: str
    score: float = 0.9
    width: int = LONGEST_PATTERN


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """`regions` are ISO 3166 codes: telephone numbers and identifiers of these regions are found without a country
    code. `languages` are ISO 639 codes: street addresses and dates of birth are found as these languages write them;
    None: all that are known. `allowed` are values that are never findings; `words` are (kind, word) pairs that always
    are. `link_hosts` None: links are not findings; otherwise links to any other host are, and a host includes its
    subdomains. `canaries` are tokens that `canary.mint` made; `fingerprints` are what `leakage.fingerprint` made of
    texts."""

    regions: frozenset[str] = frozenset({"US", "GB"})
    languages: frozenset[str] | None = None
    patterns: tuple[Pattern, ...] = ()
    words: tuple[tuple[str, str], ...] = ()
    allowed: frozenset[str] = frozenset()
    link_hosts: frozenset[str] | None = None
    canaries: tuple[str, ...] = ()
    fingerprints: frozenset[int] = frozenset()
