"""Unique ids that cannot be guessed: 128 bits from the operating system, as text."""

from __future__ import annotations

import os
from os import urandom

# How many are drawn at once: calling the system takes longer than everything else for an id.
DRAWN = 64

_pool: list[str] = []


def new_id() -> str:
    """A new id, from any thread."""
    try:
        return _pool.pop()
    except IndexError:
        drawn = urandom(16 * DRAWN).hex(" ", 16).split()
        id_ = drawn.pop()
        _pool.extend(drawn)
        return id_


if hasattr(os, "register_at_fork"):
    # A child process would use the same ids as its parent.
    os.register_at_fork(after_in_child=_pool.clear)
