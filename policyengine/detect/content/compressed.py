"""Compressed text in base64: gzip (RFC 1952) and zlib (RFC 1950), recognized by the first bytes.

A run of base64 goes on as long as its characters do. Only the first characters are unpacked, so that an endless run
costs no more than these.
"""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Iterator

from policyengine.detect.locate import spans
from policyengine.detect.shadow import TOKEN, Runs
from policyengine.detect.view import View

JUDGED = 1_000
_MOST = 16_384
"""So much of what comes out is looked at."""
# The first bytes of gzip, and of zlib at each level, in base64.
_HEAD = rb"\b(?:H4sI|e[JANF])"
_MAGIC = re.compile(r"H4sI|e[JANF]")
_MAGIC_BYTES = re.compile(rb"H4sI|e[JANF]")
_FIRST = frozenset("H4se")
_RUN = TOKEN | frozenset(b"+/=\r\n")
_JUDGED = re.compile(rb"[A-Za-z0-9+/_=\-\r\n]{44,%d}" % JUDGED)
_OPEN = re.compile(
    r"(?<![A-Za-z0-9])(?:H(?:4(?:s(?:I[A-Za-z0-9+/_=\-\r\n]*)?)?)?|e(?:[JANF][A-Za-z0-9+/_=\-\r\n]*)?)\Z"
)
_BETWEEN = b"\r\n="
_STANDARD = bytes.maketrans(b"-_", b"+/")


def blobs(view: View) -> Iterator[tuple[int, int, str]]:
    """The start and end of each run, and what its beginning holds, one character for each byte. One may begin within
    another."""
    data = view.shadow
    if _MAGIC_BYTES.search(data) is None:
        return
    runs = Runs(data, _RUN)
    for start, _ in spans(_HEAD, data):
        judged = _JUDGED.match(data, start)
        held = _unpacked(judged[0]) if judged is not None else ""
        if held:
            end = runs.end(start)
            while data[end - 1] in _BETWEEN:
                end -= 1
            yield start, end, held


def open_blob(text: str, start: int) -> int:
    """Where a run that may go on past the end of the text begins."""
    if text[-1:] not in _FIRST and _MAGIC.search(text, start) is None:
        return len(text)
    opened = _OPEN.search(text, start)
    return len(text) if opened is None else opened.start()


def _unpacked(run: bytes) -> str:
    """The unpacked text; empty if the run is not compressed data."""
    plain = run.translate(_STANDARD, _BETWEEN)
    plain = plain[: len(plain) - (len(plain) % 4 == 1)]
    try:
        packed = base64.b64decode(plain + b"=" * (-len(plain) % 4))
        # 47 accepts both formats, with the largest window.
        return zlib.decompressobj(wbits=47).decompress(packed, _MOST).decode("latin-1")
    except (ValueError, zlib.error):
        return ""
