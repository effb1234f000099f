"""The hot path's checks in C, where they have been built: `NATIVE`, or None.

Three of its types are used: `Intake` for the statements of `entry.py` and the loop of `actors.py`, `AncestorsAmong` for
the function of `hierarchy.py`, and `Shortcut` for the methods of `deciding.py` and `evaluator.py`. They give what those
give, or raise.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

VERSION = 14


def _built() -> ModuleType | None:
    try:
        built = import_module(f"{__name__}._native")
    except ImportError:
        return None
    # What was built of other sources is as good as nothing.
    return built if built.VERSION == VERSION else None


NATIVE = _built()
