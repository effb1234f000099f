"""The garbage collector of the process, out of the way while policies are loaded.

It is the host's, so only who owns the process asks for that.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


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
