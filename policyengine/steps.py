"""Calls that are written once, for plain and for async code: steps that yield what they ask, and are sent the answer.

`plain` and `awaited` make methods of them. Those differ in how they ask, and nowhere else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

Q = TypeVar("Q")
A = TypeVar("A")
T = TypeVar("T")
P = ParamSpec("P")
Steps = Generator[Any, Any, T]


def run(steps: Generator[Q, A, T], ask: Callable[[Q], A]) -> T:
    """What the steps end with. What asking raises is thrown into them, and raised only where they let it pass."""
    try:
        question = next(steps)
        while True:
            try:
                answer = ask(question)
            except Exception as error:  # noqa: BLE001 - thrown into the steps
                question = steps.throw(error)
            else:
                question = steps.send(answer)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


async def run_async(steps: Generator[Q, A, T], ask: Callable[[Q], Awaitable[A]]) -> T:
    """As `run`, without blocking the event loop."""
    try:
        question = next(steps)
        while True:
            try:
                answer = await ask(question)
            except Exception as error:  # noqa: BLE001 - thrown into the steps
                question = steps.throw(error)
            else:
                question = steps.send(answer)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


def plain(method: Callable[Concatenate[Any, P], Steps[T]]) -> Callable[Concatenate[Any, P], T]:
    """The method that asks with `_ask`."""

    @wraps(method)
    def asking(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return run(method(self, *args, **kwargs), self._ask)

    return asking


def awaited(
    method: Callable[Concatenate[Any, P], Steps[T]],
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]:
    """The method that asks with `_ask_async`."""

    @wraps(method)
    async def asking(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await run_async(method(self, *args, **kwargs), self._ask_async)

    return asking


def in_thread(method: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]:
    """The method for async code, where the plain one may wait for long."""

    @wraps(method)
    async def beside(*args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.to_thread(method, *args, **kwargs)

    return beside
