"""Values of a shape: what a regular expression matches, at random and with a seed."""

from __future__ import annotations

import random
import re
from re import _constants, _parser  # type: ignore[attr-defined]


def sample(pattern: str, rng: random.Random, most: int = 80) -> str:
    """Some text that the whole expression matches; an unbounded repetition counts `most` at the most."""
    return _text(_parser.parse(pattern), rng, most)


def _text(tree: object, rng: random.Random, most: int) -> str:
    return "".join(_one(op, value, rng, most) for op, value in tree)  # type: ignore[attr-defined]


def _one(op: object, value: object, rng: random.Random, most: int) -> str:
    match str(op):
        case "LITERAL":
            return chr(value)  # type: ignore[arg-type]
        case "IN":
            return chr(rng.choice(_members(value)))
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            low, high, body = value  # type: ignore[misc]
            count = rng.randint(low, max(low, min(int(high), most)))
            return "".join(_text(body, rng, most) for _ in range(count))
        case "SUBPATTERN":
            return _text(value[-1], rng, most)  # type: ignore[index]
        case "BRANCH":
            return _text(rng.choice(value[1]), rng, most)  # type: ignore[index]
        case "ASSERT" | "ASSERT_NOT" | "AT":
            return ""
        case other:
            raise NotImplementedError(other)


_CATEGORIES = {"CATEGORY_SPACE": r"\s", "CATEGORY_DIGIT": r"\d", "CATEGORY_WORD": r"\w"}
_known: dict[str, list[int]] = {}


def _members(items: object) -> list[int]:
    """The printable characters of a class."""
    key = repr(items)
    if key not in _known:
        found: set[int] = set()
        negated = False
        for op, value in items:  # type: ignore[attr-defined]
            if op is _constants.NEGATE:
                negated = True
            elif op is _constants.LITERAL:
                found.add(value)
            elif op is _constants.RANGE:
                found.update(range(value[0], value[1] + 1))
            else:
                found.update(c for c in range(33, 127) if re.match(_CATEGORIES[str(value)], chr(c)))
        _known[key] = sorted(set(range(33, 127)) - found if negated else found)
    return _known[key]
