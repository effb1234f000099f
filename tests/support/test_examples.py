"""At night no law is spared any example."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.support.examples import few
from tests.support.filter_checks import hostile_documents
from tests.support.filter_corpus import CONDITIONS, HOSTILE, TYPED


@pytest.fixture(params=["nightly", "fuzz"])
def most(request: pytest.FixtureRequest) -> Iterator[int]:
    """How many examples a profile has that is in force meanwhile."""
    before = settings.get_current_profile_name()
    settings.load_profile(request.param)
    yield settings.get_profile(request.param).max_examples
    settings.load_profile(before)


def test_a_share_is_the_whole(most: int) -> None:
    assert [few(share).max_examples for share in (1, 2, 4, 1_000)] == [most] * 4


def test_a_share_is_one_in_so_many_by_day() -> None:
    most = settings.get_profile("default").max_examples
    before = settings.get_current_profile_name()
    settings.load_profile("default")
    shares = [few(share).max_examples for share in (1, 4, 1_000)]
    settings.load_profile(before)
    assert shares == [most, most // 4, 1]


def test_every_condition_meets_every_hostile_document_at_night(most: int) -> None:
    assert {len(hostile_documents.__wrapped__(condition)) for condition in CONDITIONS[::20]} == {len(HOSTILE)}


def test_every_hostile_document_meets_fifty_conditions_by_day() -> None:
    before = settings.get_current_profile_name()
    settings.load_profile("default")
    met = Counter(each["id"] for condition in CONDITIONS for each in hostile_documents.__wrapped__(condition))
    of_text = {each["id"] for each in hostile_documents.__wrapped__('doc.s == "a"')}
    settings.load_profile(before)
    assert len(met) == len(HOSTILE)
    assert min(met.values()) >= 50
    # Whatever is amiss in what a condition reads.
    amiss = {f"d{at}" for at, each in enumerate([*TYPED, *HOSTILE]) if at >= len(TYPED) and each.get("s") != "a"}
    assert amiss <= of_text
    assert len(of_text) < len(HOSTILE) / 3
