"""The answer to a refused caller."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refusal:
    """An HTTP status, a message that shows nothing of the request or the credential, and headers of its own, such as
    `www-authenticate` or `retry-after`. Names of headers are in lower case."""

    status: int
    message: str
    headers: tuple[tuple[bytes, bytes], ...] = ()
