"""Libraries that are imported when they are first used, because few users of this package need all of them.

Modules of the package itself are not imported this way. What every process needs stays an import statement.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache, partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any


class LazyObject:
    """Stands for what `make` returns, which is called whenever an attribute is read."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make

    def __getattr__(self, name: str) -> Any:
        return getattr(self._make(), name)


def library(name: str) -> Any:
    """A module, in place of `import name`. Python caches it, so using it again costs a lookup."""
    return LazyObject(partial(import_module, name))


@cache
def is_installed(name: str) -> bool:
    """Whether a library can be imported, without doing so."""
    return find_spec(name) is not None


def logger(name: str) -> Any:
    """`structlog.get_logger(name)`. Few processes log anything."""
    return LazyObject(lambda: _structlog().get_logger(name))


def log_to_standard_error() -> None:
    """From now on, logs go to standard error unless structlog is configured otherwise: the standard output of a command
    is its result, and structlog would write there."""
    global _to_standard_error
    _to_standard_error = True


_to_standard_error = False


def _structlog() -> Any:
    structlog = import_module("structlog")
    if _to_standard_error and not structlog.is_configured():
        # The stream of the moment: it may be exchanged.
        structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))
    return structlog
