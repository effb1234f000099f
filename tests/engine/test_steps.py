"""Calls that are written once: both forms ask the same, in the same order, and are told the same of what went wrong."""

from __future__ import annotations

import asyncio
import inspect
from threading import get_ident

import pytest

from policyengine.steps import Steps, awaited, in_thread, plain


class Asked:
    def __init__(self) -> None:
        self.questions: list[str] = []

    def _ask(self, question: str) -> int:
        self.questions.append(question)
        if question == "away":
            raise OSError("away")
        return len(question)

    async def _ask_async(self, question: str) -> int:
        await asyncio.sleep(0)
        return self._ask(question)

    def _sum(self, *questions: str, default: int | None = None) -> Steps[int]:
        """The lengths, added up."""
        total = 0
        for each in questions:
            try:
                answer: int = yield each
            except OSError:
                if default is None:
                    raise
                answer = default
            total += answer
        return total

    sum, sum_async = plain(_sum), awaited(_sum)

    def where(self) -> int:
        return get_ident()

    where_async = in_thread(where)


@pytest.mark.parametrize(("questions", "total"), [((), 0), (("ab",), 2), (("ab", "away", "c"), 10)])
def test_both_forms_ask_the_same(questions: tuple[str, ...], total: int) -> None:
    one, other = Asked(), Asked()
    assert one.sum(*questions, default=7) == asyncio.run(other.sum_async(*questions, default=7)) == total
    assert one.questions == other.questions == list(questions)


def test_what_the_steps_let_pass_is_raised() -> None:
    one = Asked()
    with pytest.raises(OSError, match="away"):
        one.sum("ab", "away", "c")
    with pytest.raises(OSError, match="away"):
        asyncio.run(one.sum_async("ab", "away", "c"))
    assert one.questions == ["ab", "away"] * 2


def test_both_forms_are_called_and_told_of_alike() -> None:
    assert inspect.signature(Asked.sum) == inspect.signature(Asked.sum_async)
    assert Asked.sum.__doc__ == Asked.sum_async.__doc__ == "The lengths, added up."
    assert inspect.iscoroutinefunction(Asked.sum_async)
    assert not inspect.iscoroutinefunction(Asked.sum)


def test_what_waits_for_long_waits_in_another_thread() -> None:
    assert asyncio.run(Asked().where_async()) != get_ident() == Asked().where()
