"""The head of a 200 response with JSON, as bytes: what uvicorn writes for `errors.send_json`.

The part that does not depend on the request is built once a second, because it contains the date.
"""

from __future__ import annotations

from collections.abc import Sequence

from policyengine.server.security_headers import headers


class AnswerHeads:
    """The heads of one process. Whenever the headers that the server adds change, their list is a new object."""

    def __init__(self) -> None:
        self._of: dict[str, tuple[Sequence[tuple[bytes, bytes]], bytes, bytes]] = {}

    def answer(self, added: Sequence[tuple[bytes, bytes]], scheme: str, identifier: bytes, body: bytes) -> bytes:
        known = self._of.get(scheme)
        if known is None or known[0] is not added:
            before = _lines((*added, (b"content-type", b"application/json")))
            known = self._of[scheme] = added, b"HTTP/1.1 200 OK\r\n%bcontent-length: " % before, _lines(headers(scheme))
        _, before, after = known
        return b"%b%d\r\nx-request-id: %b\r\n%b\r\n%b" % (before, len(body), identifier, after, body)


def _lines(found: Sequence[tuple[bytes, bytes]]) -> bytes:
    return b"".join([b"%b: %b\r\n" % each for each in found])
