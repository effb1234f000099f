"""What is remembered is bounded, and several threads may remember and ask at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from policyengine.bounded_cache import BoundedCache, ExpiringCache


def test_the_oldest_is_forgotten_first() -> None:
    kept: BoundedCache[int, str] = BoundedCache(2)
    for number in (1, 2, 1, 3):
        kept[number] = str(number)
    assert [kept.get(number) for number in (1, 2, 3)] == ["1", None, "3"]
    assert len(kept) == 2


def test_threads_that_make_room_for_each_other() -> None:
    kept: BoundedCache[int, int] = BoundedCache(3)

    def use(start: int) -> bool:
        for number in range(start, start + 3_000):
            kept[number % 17] = number % 17
            if kept.get(number % 13) not in (None, number % 13):
                return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(use, range(8)))
    assert len(kept) == 3


def test_what_is_held_for_a_while_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("policyengine.bounded_cache.monotonic", lambda: now)
    held: ExpiringCache[str, int] = ExpiringCache(3, 10.0)
    assert not held
    held["a"] = 1
    now = 6.0
    held["b"] = 2
    assert (held.setdefault("a", 9), held.setdefault("c", 3)) == (1, 3)
    assert held.known() == ["a", "b", "c"]
    now = 10.0
    assert (held.get("a"), held.known(), bool(held)) == (None, ["b", "c"], True)
    assert held.setdefault("a", 9) == 9
    held.pop("b")
    held.pop("never")
    assert held.known() == ["c", "a"]
    now = 20.0
    assert (held.known(), bool(held), held.get("a")) == ([], False, None)


def test_the_oldest_makes_room_and_what_is_put_in_again_is_new() -> None:
    held: ExpiringCache[int, int] = ExpiringCache(2, 1_000.0)
    for number in (1, 2, 1, 3):
        held[number] = number
    assert held.known() == [1, 3]


def test_threads_that_hold_and_let_go() -> None:
    held: ExpiringCache[int, int] = ExpiringCache(3, 1_000.0)

    def use(start: int) -> bool:
        for number in range(start, start + 3_000):
            held[number % 17] = number % 17
            held.pop(number % 11)
            if held.get(number % 13) not in (None, number % 13) or len(held.known()) > 3:
                return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(use, range(8)))
