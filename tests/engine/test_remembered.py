"""What is remembered is bounded, and several threads may remember and ask at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from policyengine.remembered import Remembered


def test_the_oldest_is_forgotten_first() -> None:
    kept: Remembered[int, str] = Remembered(2)
    for number in (1, 2, 1, 3):
        kept[number] = str(number)
    assert [kept.get(number) for number in (1, 2, 3)] == ["1", None, "3"]
    assert len(kept) == 2


def test_threads_that_make_room_for_each_other() -> None:
    kept: Remembered[int, int] = Remembered(3)

    def use(start: int) -> bool:
        for number in range(start, start + 3_000):
            kept[number % 17] = number % 17
            if kept.get(number % 13) not in (None, number % 13):
                return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(use, range(8)))
    assert len(kept) == 3
