"""Where texts are looked at beside an event loop: in threads of their own.

The event loop's own threads are few, and belong to whoever embeds the engine: one that waits for a classifier there
holds up what has nothing to do with it. No more of these threads wait at a time than classifiers run, since what finds
no place among them is not waited for (see `classifiers`): so some are always free.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

from policyengine.release.classifiers import WORKERS

T = TypeVar("T")

# Beside those that may wait.
COMPUTING = 4

_threads = ThreadPoolExecutor(WORKERS + COMPUTING, thread_name_prefix="texts")


async def in_text_thread(work: Callable[[], T]) -> T:
    """What it returns, or raises, without blocking the event loop."""
    return await asyncio.get_running_loop().run_in_executor(_threads, copy_context().run, work)
