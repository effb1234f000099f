"""Limits admit what they say, their waits are true, and their memory has a bound."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policyengine.callers.throttle import Failures, Meter, retry_after, source


def test_so_many_at_once_and_then_as_fast_as_they_come_back() -> None:
    meter = Meter(5, 60.0)
    assert [meter.take("a", 0.0) for _ in range(5)] == [0.0] * 5
    assert meter.take("a", 0.0) == pytest.approx(12.0)
    assert meter.take("a", 11.0) == pytest.approx(1.0)
    assert meter.take("a", 12.0) == 0.0
    assert meter.take("b", 12.0) == 0.0


@given(
    st.integers(1, 50),
    st.floats(0.1, 1000),
    st.lists(st.floats(0, 500), min_size=1, max_size=80),
)
def test_no_window_has_more_than_twice_the_count_and_every_wait_is_true(
    count: int, per: float, gaps: list[float]
) -> None:
    meter = Meter(count, per)
    now, admitted = 0.0, []
    for gap in gaps:
        now += gap / 50
        wait = meter.take("a", now)
        if wait:
            assert wait <= per * (1 + 1e-6)
            now += wait
            assert meter.take("a", now) == 0.0
        admitted.append(now)
    for start in admitted:
        assert sum(start <= each < start + per * 0.999 for each in admitted) <= 2 * count


def test_memory_has_a_bound() -> None:
    meter = Meter(1, 1.0, most=100)
    for i in range(1000):
        meter.take(str(i), 0.0)
    assert len(meter) == 100


@pytest.mark.parametrize(("count", "per"), [(0, 1.0), (-1, 1.0), (1, 0.0), (1, -1.0)])
def test_a_limit_that_means_nothing_cannot_be_made(count: int, per: float) -> None:
    with pytest.raises(ValueError, match="a limit"):
        Meter(count, per)


def test_failures_are_counted_by_address_and_by_key() -> None:
    failures = Failures(2, 60.0)
    assert not failures.failed("10.0.0.1", "k", 0.0)
    assert not failures.failed("10.0.0.2", "k", 0.0)
    assert failures.failed("10.0.0.3", "k", 0.0)
    assert not failures.failed("10.0.0.4", None, 0.0)
    assert not failures.failed("10.0.0.4", None, 0.0)
    assert failures.failed("10.0.0.4", "other", 0.0)


def test_one_source_however_its_address_is_written() -> None:
    assert source("::ffff:10.0.0.1") == source("10.0.0.1")
    assert source("2001:db8::1") == source("2001:db8::ffff:2")
    assert source("2001:db8::1") != source("2001:db8:0:1::1")
    assert source(None) == source("nonsense")


def test_seconds_to_wait_are_whole_and_enough() -> None:
    assert [retry_after(wait) for wait in (0.01, 1.0, 1.01, 59.2)] == [b"1", b"1", b"2", b"60"]
