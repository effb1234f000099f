"""The hot path's checks in C, where they have been built: `NATIVE`, or None.

Three of its types are used: `Intake` for the statements of `entry.py` and the loop of `actors.py`, `AncestorsAmong` for
the function of `hierarchy.py`, and `Shortcut` for the methods of `keyword_decider.py` and `evaluator.py`, whose classes
are `Decider`s. They return what those return, or raise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

VERSION = 17
Method = TypeVar("Method", bound=Callable[..., Any])


def _built() -> ModuleType | None:
    try:
        built = import_module(f"{__name__}._native")
    except ImportError:
        return None
    # What was built of other sources is as good as nothing.
    return built if built.VERSION == VERSION else None


NATIVE = _built()


class _Decider:
    """An object whose methods may have shortcuts."""

    def _go_by(
        self,
        entries: Mapping[str, Any],
        each: Mapping[str, frozenset[str]],
        nothing: Mapping[str, Any],
        slowly: Callable[..., Any],
        /,
    ) -> None:
        """From now on the shortcuts of this object go by these; the stub says what they are."""


if TYPE_CHECKING:
    Decider = _Decider
else:
    Decider = NATIVE.Decider if NATIVE is not None else _Decider


def with_shortcut(*, positional: bool) -> Callable[[Method], Method]:
    """For a method that decides: the usual calls of it are answered in C, for an object that has gone by something.
    `positional` is whether it takes the parts of a request by position."""

    def marked(method: Method) -> Method:
        shortcut: Method = NATIVE.Shortcut(method, positional) if NATIVE is not None else method
        return shortcut

    return marked
