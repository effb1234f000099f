"""Does real output match documented output? In both, `...` in the document stands for anything."""

from __future__ import annotations

import json
import re
from typing import Any

ANYTHING = "..."


def output_matches(expected: str, actual: str) -> bool:
    """Compare the output of a command: as text, or as JSON when the document shows JSON.

    Trailing spaces and blank lines at either end do not count; as JSON, neither do layout and fields
    that are not shown.
    """
    pattern = ".*".join(re.escape(part) for part in _tidy(expected).split(ANYTHING))
    if re.fullmatch(pattern, _tidy(actual), re.DOTALL):
        return True
    try:
        return not differences(json.loads(expected), json.loads(actual))
    except ValueError:
        return False


def differences(expected: Any, actual: Any, at: str = "$") -> list[str]:
    """Where `actual` contradicts what `expected` shows; objects may have more fields, lists no more."""
    if expected == ANYTHING:
        return []
    if isinstance(expected, dict) and isinstance(actual, dict):
        missing = [f"{at}.{name} is missing" for name in expected if name not in actual]
        shared = [name for name in expected if name in actual]
        return missing + [d for name in shared for d in differences(expected[name], actual[name], f"{at}.{name}")]
    if isinstance(expected, list) and isinstance(actual, list):
        if len(expected) != len(actual):
            return [f"{at} has {len(actual)} items, not {len(expected)}"]
        pairs = enumerate(zip(expected, actual, strict=True))
        return [d for i, (e, a) in pairs for d in differences(e, a, f"{at}[{i}]")]
    if type(expected) is type(actual) and expected == actual:
        return []
    return [f"{at} is {json.dumps(actual)}, not {json.dumps(expected)}"]


def _tidy(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.splitlines()).strip("\n")
