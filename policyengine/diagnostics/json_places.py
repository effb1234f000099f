"""Where a value stands in a JSON text.

In: a text that is known to be JSON, and the steps to a value in it. Out: its first and last character.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from json import JSONDecodeError, JSONDecoder

_SPACE = re.compile(r"[ \t\n\r]*")
_skip = JSONDecoder().raw_decode


def place(text: str, path: Sequence[str | int], named: bool = False) -> tuple[int, int]:
    """The range of characters of the value that the steps lead to or, with `named`, of its name. The whole text where
    they lead nowhere."""
    at = _after(text, 0)
    start = end = at
    for step in path:
        place_of_value = _member(text, at, step) if isinstance(step, str) else _item(text, at, step)
        if place_of_value is None:
            return 0, len(text)
        start, end, at = place_of_value
    return (start, end) if named else (at, _skip(text, at)[1])


def breaks(text: str) -> int | None:
    """Where a text stops being JSON; None where it does not, or nobody can say."""
    try:
        JSONDecoder().decode(text)
    except JSONDecodeError as error:
        return error.pos
    except (ValueError, RecursionError):
        return None
    return None


def _after(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space else at


def _member(text: str, at: int, name: str) -> tuple[int, int, int] | None:
    """Where the name starts and ends, and where its value starts. Of names that stand twice, the last counts."""
    member = None
    at = _after(text, at + 1) if text[at : at + 1] == "{" else len(text)
    while text[at : at + 1] == '"':
        key, end = _skip(text, at)
        value = _after(text, _after(text, end) + 1)
        if key == name:
            member = at, end, value
        at = _after(text, _skip(text, value)[1])
        at = _after(text, at + 1) if text[at : at + 1] == "," else len(text)
    return member


def _item(text: str, at: int, number: int) -> tuple[int, int, int] | None:
    at = _after(text, at + 1) if text[at : at + 1] == "[" else len(text)
    for _ in range(number):
        at = _after(text, _after(text, _skip(text, at)[1]) + 1)
    return at, at, at
