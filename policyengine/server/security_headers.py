"""The security headers of every answer, which keep browsers from misusing it.

They are the headers of OWASP's REST Security Cheat Sheet. An answer is for one caller and one moment, so nothing may
cache it; no page frames it or runs anything in it.
"""

from __future__ import annotations

from collections.abc import Sequence

Headers = Sequence[tuple[bytes, bytes]]

_ALWAYS: Headers = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)
_SECURE: Headers = (*_ALWAYS, (b"strict-transport-security", b"max-age=63072000"))
# The page that shows the API has scripts and styles of its own, from here only.
_PAGE = (
    b"content-security-policy",
    b"default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    b" frame-ancestors 'none'",
)


def headers(scheme: str) -> Headers:
    """The headers of an answer over http or https."""
    return _SECURE if scheme == "https" else _ALWAYS


def added(present: Headers, scheme: str) -> list[tuple[bytes, bytes]]:
    """The headers to add to an answer; headers that it already has stay unchanged."""
    headers_by_name = dict(present)
    more = [each for each in headers(scheme) if each[0] not in headers_by_name]
    if headers_by_name.get(b"content-type", b"").startswith(b"text/html"):
        more = [each if each[0] != _PAGE[0] else _PAGE for each in more]
    return [*present, *more]
