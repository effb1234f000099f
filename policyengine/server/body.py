"""The bytes of a JSON request, or the error that refuses them before they are read in full."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from starlette.types import Message, Receive

from policyengine.authzen.errors import Malformed
from policyengine.server.errors import RequestError

# RFC 9110 8.3.1; RFC 8259 has no parameter, but clients commonly send a charset.
_JSON = re.compile(rb'application/json[ \t]*(?:;[ \t]*charset[ \t]*=[ \t]*"?utf-?8"?[ \t]*)?;?[ \t]*', re.IGNORECASE)


# Lengths with this many digits may exceed a limit.
_SHORT = 4
# The most objects and arrays of one request. They are made in one go, and nothing else runs meanwhile.
MOST_VALUES = 50_000
# A string, or the beginning of one: it matches wherever a string begins, so that no text is searched twice.
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)


class Disconnected(Exception):
    """The client disconnected before its request was complete; there is nobody to answer."""


async def read_body(message: Message, receive: Receive, limit: int) -> bytes:
    """The body that begins with a message, of at most `limit` bytes. Raises RequestError, or Disconnected."""
    chunks = bytearray()
    while True:
        if message["type"] == "http.disconnect":
            raise Disconnected
        chunks += message.get("body", b"")
        if len(chunks) > limit:
            raise too_large(limit)
        if not message.get("more_body"):
            break
        message = await receive()
    if not chunks:
        raise Malformed("the request body is empty")
    return bytes(chunks)


def check_values(body: bytes) -> None:
    """Raises RequestError for JSON of more objects and arrays than MOST_VALUES, before any is made."""
    # Most bodies are too short for that many, and most of the rest have too few opening brackets.
    if len(body) <= 2 * MOST_VALUES or _begun(body) <= MOST_VALUES:
        return
    if _begun(_STRING.sub(b"", body)) > MOST_VALUES:
        raise RequestError(413, f"the request has more than {MOST_VALUES} objects and arrays")


def _begun(text: bytes) -> int:
    return text.count(b"{") + text.count(b"[")


def too_large(limit: int) -> RequestError:
    return RequestError(413, f"the request body is larger than {limit} bytes")


def check_headers(headers: Sequence[tuple[bytes, bytes]], found: Mapping[bytes, bytes], limit: int) -> None:
    """Raises RequestError if the headers do not announce JSON of at most `limit` bytes. `found` has them by name."""
    # The usual headers of a short body are recognised at once.
    if (
        found.get(b"content-type") == b"application/json"
        and len(found) == len(headers)
        and b"content-encoding" not in found
        and len(found.get(b"content-length", b"")) < _SHORT
    ):
        return
    content_type: bytes | None = None
    for name, value in headers:
        if name == b"content-type":
            if content_type is not None:
                raise Malformed("there is more than one Content-Type")
            content_type = value
        elif name == b"content-length":
            if len(value) > 18 or int(value) > limit:
                raise too_large(limit)
        elif name == b"content-encoding" and value.lower() != b"identity":
            raise Malformed("the request body must not be compressed")
    if content_type is None or not (content_type == b"application/json" or _JSON.fullmatch(content_type)):
        raise Malformed("the Content-Type must be application/json")
