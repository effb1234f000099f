"""The garbage collector of the process, kept out of the way while policies are loaded and served.

The collector belongs to the host, so only the owner of a process asks for this: `Engine.load` does not.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

# Objects that are made until the young ones are looked through, and then how often the older: less often than Python
# does it, which would look through an answer of very many parts time and again while it is made.
THRESHOLDS = (10_000, 500, 100)


@contextmanager
def settled() -> Iterator[None]:
    """What was loaded stays while a service runs, so that no request waits for a look through it. What a service that
    has stopped leaves behind does not stay frozen: each load would count it."""
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
    """Loading makes many small objects that all live on: looking through them for garbage takes half of its time."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        if not gc.get_freeze_count():
            # Straight to the oldest generation, or the first thing made after loading would pay for a look at it all.
            gc.freeze()
            gc.unfreeze()
        gc.enable()
