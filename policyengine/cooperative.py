"""Long work as a generator that pauses after each slice and returns the result at its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import TypeVar

T = TypeVar("T")


def at_once(slices: Generator[None, None, T], between: Callable[[], None] = lambda: None) -> T:
    """The result, for callers that delay nobody."""
    while True:
        try:
            next(slices)
        except StopIteration as done:
            result: T = done.value
            return result
        between()


async def in_turns(slices: Generator[None, None, T]) -> T:
    """The result. The event loop has its turn after each slice."""
    while True:
        try:
            next(slices)
        except StopIteration as done:
            result: T = done.value
            return result
        await asyncio.sleep(0)
