"""How many examples: as many as the profile says, but in the default profile for laws that a real store makes slow, and
for those of one rule more or less, whose evaluators the laws of equivalence try with all of them. At night none is
spared."""

from __future__ import annotations

from hypothesis import settings


def few(share: int) -> settings:
    """One in so many of the default profile's examples, for laws whose every example is a long story; all of those of
    the other profiles, which have time."""
    most = settings().max_examples
    return settings(max_examples=max(1, most // share) if is_default() else most)


def is_default() -> bool:
    """Whether this is no longer a run than the default profile's."""
    return settings().max_examples <= settings.get_profile("default").max_examples


# Every store is asked for the whole corpus as well, and each law of filters is tried without a store in `tests/laws`.
half = few(2)
