"""Threads that scan texts for callers in an event loop.

The default threads of an event loop are few and belong to the host: a thread that waits for a classifier there would
delay unrelated work. At most as many of these threads wait as classifiers run at once, because a call that finds no
free place is refused at once (see `classifiers`). So some threads are always free.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

from policyengine.release.classifiers import WORKERS

T = TypeVar("T")

# In addition to those that may wait.
COMPUTING = 4

_threads = ThreadPoolExecutor(WORKERS + COMPUTING, thread_name_prefix="texts")


async def in_text_thread(work: Callable[[], T]) -> T:
    """What the work returns or raises, without blocking the event loop."""
    return await asyncio.get_running_loop().run_in_executor(_threads, copy_context().run, work)
