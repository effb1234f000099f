"""The JSON documents of a recording: one value, JSON Lines, or server-sent events.

In: bytes. Out: the value; if there are several, a list of them in order; if there is one event, its data. Raises Fault,
with the line, for anything that is not completely one of these: only parts without data are ignored.

Sources: RFC 8259; jsonlines.org; HTML Living Standard 9.2.6 (an event that is cut off by the end of the stream is read
here, because nothing that could define a tool may be dropped).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from policyengine.diagnostics import codes
from policyengine.model.json_text import parse_json
from policyengine.model.values import Fault

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_FIELDS = (b"data", b"event", b"id", b"retry")
_END_OF_LINE = re.compile(rb"\r\n|\n|\r")


def read_documents(data: bytes) -> Any:
    """The first line shows which of the three formats it is: an event's is not JSON, and that of JSON Lines is a
    complete value."""
    lines = _END_OF_LINE.split(data.removeprefix(_BYTE_ORDER_MARK))
    first = next((line for line in lines if line.strip()), b"")
    if _field(first) is not None:
        events = [_parsed(text, number, "event") for number, text in _events(lines)]
        return events[0] if len(events) == 1 else events
    try:
        return parse_json(data)
    except Fault:
        texts = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
        if len(texts) < 2 or not _is_object_or_list(first):
            raise
        return [_parsed(text, number, "line") for number, text in texts]


def _is_object_or_list(text: bytes) -> bool:
    """Whether the line is a document by itself, so that the following lines should be others."""
    try:
        return isinstance(parse_json(text), dict | list)
    except Fault:
        return False


def _parsed(text: bytes, number: int, what: str) -> Any:
    try:
        return parse_json(text)
    except Fault as fault:
        where = f"line {number}" if what == "line" else f"the event at line {number}"
        raise Fault(fault.code, f"{where}: {fault.message}") from None


def _events(lines: list[bytes]) -> Iterator[tuple[int, bytes]]:
    """The data of each event that has any, and the line where it starts."""
    start, data = 0, list[bytes]()
    for number, line in enumerate([*lines, b""], 1):
        if not line:
            if data:
                yield start, b"\n".join(data)
            data = []
            continue
        name = _field(line)
        if name is None:
            raise Fault(codes.MALFORMED.id, f"line {number}: not a field of a server-sent event")
        if name == b"data":
            start = start if data else number
            data.append(line[len(b"data:") :].removeprefix(b" "))


def _field(line: bytes) -> bytes | None:
    """The name of the field on the line, empty for a comment; None if the line has none."""
    name, _, _ = line.partition(b":")
    return name if name in _FIELDS or (not name and line) else None
