"""Content as pieces of text, each with its place, and the way back with other texts at those places.

A text is one piece. JSON is one piece for each string, number and key, all decoded, so that no escape hides a value and
the result is JSON again. A scan reads the name of a member before its value, because the name shows what the value is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import accumulate
from json.encoder import encode_basestring
from typing import Any

from policyengine.release.text_runs import APART, TEXT, channel, runs

# How deep JSON may nest, and how many pieces it may have.
DEEPEST = 64
MOST_SEGMENTS = 100_000
_FRACTION = frozenset(".eE")
_LONGEST_NUMBER = 40
"""So many digits a number is looked at with."""


class Unscannable(Exception):
    """The input cannot be scanned. The message shows no value."""


def too_long(most: int) -> str:
    return f"the text is longer than {most} characters: send less at a time, or raise `most`"


@dataclass(frozen=True, slots=True)
class Segment:
    """`path` is a JSON pointer, empty for a text; `before` is text that finders see before this one, in which no
    finding can be; `source` is whose words it is. `borders` are where one of its parts ends and the next begins."""

    text: str
    path: str = ""
    before: str = ""
    source: str = ""
    borders: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Content:
    """`rebuilt` makes the whole from one text for each segment. `runs` are the numbers of segments that form one text,
    such as the blocks of a message: a value may continue from one to the next. None of these segments is empty.
    `beside` are readings in the order in which another reader sees them and could put a value together."""

    segments: tuple[Segment, ...]
    rebuilt: Callable[[Sequence[str]], Any] = field(repr=False)
    # Whether it is one text, which may be cut anywhere.
    plain: bool = False
    runs: tuple[tuple[int, ...], ...] = ()
    beside: tuple[tuple[tuple[int, ...], ...], ...] = ()

    def readings(self) -> list[tuple[int, ...]]:
        """The numbers of the segments, as they are read: each by itself, or several that form one text, in the order of
        their beginnings."""
        if not self.runs:
            return [(number,) for number in range(len(self.segments))]
        follow = {number for run in self.runs for number in run[1:]}
        first = {run[0]: run for run in self.runs}
        return [first.get(number, (number,)) for number in range(len(self.segments)) if number not in follow]

    def joined(self, reading: Sequence[int]) -> tuple[str, list[int]]:
        """The text of a reading, and where its segments meet."""
        texts = [self.segments[number].text for number in reading]
        return "".join(texts), list(accumulate(map(len, texts[:-1])))

    @property
    def size(self) -> int:
        """In characters."""
        return sum(len(segment.text) for segment in self.segments)


def text_content(text: str) -> Content:
    return Content((Segment(text),), lambda texts: texts[0], plain=True)


def parsed(text: str) -> Any:
    """JSON, strictly: no duplicate keys, and no NaN. A number is kept as its digits. Raises Unscannable."""
    try:
        return json.loads(
            text, object_pairs_hook=_object, parse_float=_Number, parse_int=_Number, parse_constant=_no_constant
        )
    except (ValueError, RecursionError):
        raise Unscannable(
            "the text is not JSON, or has a key twice: send valid JSON, or send it as plain text"
        ) from None


def json_text_content(text: str) -> Content:
    """JSON as text. Parts without an edit are returned as they were written. Raises Unscannable."""
    inner = json_content(parsed(text))
    before = [segment.text for segment in inner.segments]

    def rebuilt(texts: Sequence[str]) -> str:
        return text if list(texts) == before else _dumped(inner.rebuilt(texts))

    return Content(inner.segments, rebuilt, runs=inner.runs)


def json_content(value: Any) -> Content:
    """A JSON value. Raises Unscannable for anything else."""
    segments: list[Segment] = []
    said: list[tuple[int, str, str]] = []
    _collect(value, "", "", segments, 0, said, TEXT if isinstance(value, list | tuple) else APART)

    def rebuilt(texts: Sequence[str]) -> Any:
        coming = iter(zip(segments, texts, strict=True))
        return _replaced(value, coming)

    return Content(tuple(segments), rebuilt, runs=runs(said))


class _Number(str):
    """The digits of a number in a JSON text."""

    __slots__ = ()


def _collect(
    value: Any,
    path: str,
    name: str,
    segments: list[Segment],
    depth: int,
    said: list[tuple[int, str, str]],
    around: str,
) -> None:
    if depth > DEEPEST or len(segments) > MOST_SEGMENTS:
        raise Unscannable(
            f"the value nests deeper than {DEEPEST} levels or has more than {MOST_SEGMENTS} parts: send less at a time"
        )
    match value:
        case str() if around and not _is_number(value):
            if value:
                said.append((len(segments), path, around))
            segments.append(Segment(str(value), path))
        case str():
            before = "" if not name else f"{encode_basestring(name)}: " + ("" if _is_number(value) else '"')
            segments.append(Segment(_digits(value) if _is_number(value) else str(value), path, before))
        case bool() | None:
            return
        case int() | float():
            before = f"{encode_basestring(name)}: " if name else ""
            segments.append(Segment(_digits(repr(value)), path, before))
        case Mapping():
            for key, item in value.items():
                if not isinstance(key, str):
                    raise Unscannable("the value has a key that is not a text: send JSON")
                place = f"{path}/{key.replace('~', '~0').replace('/', '~1')}"
                segments.append(Segment(key, place))
                _collect(item, place, key, segments, depth + 1, said, channel(value, key, around))
        case list() | tuple():
            for at, item in enumerate(value):
                within = APART if isinstance(item, list | tuple) else around
                _collect(item, f"{path}/{at}", name, segments, depth + 1, said, within)
        case _:
            raise Unscannable("the value holds something that is not JSON: convert it to text first")


def _replaced(value: Any, replacements: Any) -> Any:
    match value:
        case bool() | None:
            return value
        case str() | int() | float():
            segment, text = next(replacements)
            # A number that was changed becomes a text.
            return value if text == segment.text else text
        case Mapping():
            members: dict[str, Any] = {}
            for item in value.values():
                _, key = next(replacements)
                if key in members:
                    raise Unscannable(
                        "redaction makes two keys of an object equal: keep personal data and secrets out of keys"
                    )
                members[key] = _replaced(item, replacements)
            return members
        case _:
            return [_replaced(item, replacements) for item in value]


def _is_number(value: Any) -> bool:
    return isinstance(value, _Number)


def _digits(number: str) -> str:
    """A whole number without a point and an exponent: tables write a card number as 4111111111111111.0."""
    if not (_FRACTION & set(number)) or not number[-1].isdigit():
        return number
    value = Decimal(number)
    return f"{value:.0f}" if value.adjusted() < _LONGEST_NUMBER and value == value.to_integral_value() else number


def _dumped(value: Any) -> str:
    """As JSON again, numbers digit by digit."""
    match value:
        case _Number():
            return str(value)
        case dict():
            members = (f"{json.dumps(key, ensure_ascii=False)}: {_dumped(item)}" for key, item in value.items())
            return "{" + ", ".join(members) + "}"
        case list():
            return "[" + ", ".join(_dumped(item) for item in value) + "]"
        case _:
            return json.dumps(value, ensure_ascii=False)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("one key twice")
    return made


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
