"""The garbage collector of the process, kept out of the way while policies are loaded and served.

The collector belongs to the host, so only the owner of a process calls this: `Engine.load` does not.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

# The number of new objects before a collection of the young generation, and how often the older ones follow: less often
# than Python's default, which would traverse a very large answer again and again while it is built.
THRESHOLDS = (10_000, 500, 100)


@contextmanager
def settled() -> Iterator[None]:
    """Keeps loaded objects out of collections while a service runs, so that no request waits for them. When the service
    has stopped they are unfrozen: otherwise each load would add to them."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


@contextmanager
def paused() -> Iterator[None]:
    """Loading makes many small objects that all stay alive: collections would take half of its time."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        if not gc.get_freeze_count():
            # Moved to the oldest generation at once; otherwise the first objects made after loading would trigger a
            # traversal of all.
            gc.freeze()
            gc.unfreeze()
        gc.enable()
