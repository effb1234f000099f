"""How many examples: as many as the profile says, but for laws that a real store makes slow, and for those of one rule
more or less, whose evaluators the laws of equivalence try with all of them."""

from __future__ import annotations

from hypothesis import settings

# Every store is asked for the whole corpus as well, and each law of filters is tried without a store in `tests/laws`.
half = settings(max_examples=settings().max_examples // 2)


def few(share: int) -> settings:
    """One in so many of the profile's examples, for laws whose every example is a long story."""
    return settings(max_examples=max(1, settings().max_examples // share))
