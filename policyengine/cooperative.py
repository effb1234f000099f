"""Work in slices: a generator that rests after each, and returns what comes of all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import TypeVar

T = TypeVar("T")


def at_once(slices: Generator[None, None, T], between: Callable[[], None] = lambda: None) -> T:
    """What comes of it, for where nobody else waits. What `between` raises after a slice is raised."""
    while True:
        try:
            next(slices)
        except StopIteration as done:
            result: T = done.value
            return result
        between()


async def in_turns(slices: Generator[None, None, T]) -> T:
    """What comes of it. The event loop has its turn after each slice."""
    while True:
        try:
            next(slices)
        except StopIteration as done:
            result: T = done.value
            return result
        await asyncio.sleep(0)
