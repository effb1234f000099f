"""At night no law is spared any example."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.support.examples import few


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
