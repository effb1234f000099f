"""Whether code for rules may be made here and now.

Making it takes milliseconds for a hundred rules. Whoever answers many requests in one thread asks for a decision within
`with ONLY_MADE`, and is told by Unmade what to have made in another thread before it asks again. Anywhere else code is
made when it is first needed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable

# Held by the one thread that makes something for all.
OneAtATime = threading.Lock
# So few rules are made into code anywhere: that is done sooner than handed over.
FEW = 10


class Unmade(BaseException):
    """There is no code yet for what was asked: `make` makes it. For equal keys it need be called only once. No
    Exception, as those mean that a request is unusual."""

    def __init__(self, key: Hashable, make: Callable[[], object]) -> None:
        super().__init__(key)
        self.key = key
        self.make = make


class _Here(threading.local):
    only_made = False


_here = _Here()


class _OnlyMade:
    """A context in which this thread makes no code for more than a few rules."""

    def __enter__(self) -> None:
        _here.only_made = True

    def __exit__(self, *_: object) -> None:
        _here.only_made = False


ONLY_MADE = _OnlyMade()


def need(key: Hashable, make: Callable[[], object]) -> None:
    """Code is going to be made. Raises Unmade where it is not to be."""
    if _here.only_made:
        raise Unmade(key, make)
