"""Unique ids that nobody can guess: 128 bits from the operating system, as text."""

from __future__ import annotations

import os
from os import urandom

# So many are drawn at once: asking the system takes longer than all else that makes an id.
DRAWN = 64

_pool: list[str] = []


def new_id() -> str:
    """An id, from any thread."""
    try:
        return _pool.pop()
    except IndexError:
        drawn = urandom(16 * DRAWN).hex(" ", 16).split()
        id_ = drawn.pop()
        _pool.extend(drawn)
        return id_


if hasattr(os, "register_at_fork"):
    # A child would go on with the ids of its parent.
    os.register_at_fork(after_in_child=_pool.clear)
