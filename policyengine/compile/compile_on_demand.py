"""Whether code for rules may be made here and now.

Making code takes milliseconds for a hundred rules, and normally happens when the code is first needed. A thread that
answers many requests decides within `with ONLY_MADE` instead: Unmade then tells it which code another thread must make
before it tries again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable

# Held by the thread that makes something for all others.
OneAtATime = threading.Lock
# If there are no more rules than this, any thread makes their code: that takes less time than handing it over.
FEW = 10


class Unmade(BaseException):
    """The code for this request does not exist yet; `make` makes it. For equal keys it need be called only once. This
    is no Exception, because those mean that a request is unusual."""

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
    """Announces that code is going to be made. Raises Unmade if that is not allowed here."""
    if _here.only_made:
        raise Unmade(key, make)
