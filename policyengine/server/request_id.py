"""Every response has an X-Request-ID: the caller's own, if it sent a usable one.

AuthZEN 1.0, "Request Identification": an identifier that came with the request is returned unchanged. Usable is
printable ASCII of at most 200 characters; anything else could forge log lines, and is replaced.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from itertools import count

_USABLE = re.compile(rb"[\x21-\x7e](?:[\x20-\x7e]{0,198}[\x21-\x7e])?")


def first(headers: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """The headers by name; if several have the same name, the first."""
    by_name = dict(headers)
    return by_name if len(by_name) == len(headers) else dict(reversed(headers))


class Identify:
    """Gives a request its identifier, ASCII: its own, if it has a usable one."""

    def __init__(self) -> None:
        # Unique without a random number for every request: one per process, then counted.
        self._prefix = secrets.token_hex(8).encode()
        self._count = count(1)

    def __call__(self, headers: Mapping[bytes, bytes]) -> bytes:
        identifier = headers.get(b"x-request-id")
        if identifier is None or not _USABLE.fullmatch(identifier):
            return b"%b-%x" % (self._prefix, next(self._count))
        return identifier
