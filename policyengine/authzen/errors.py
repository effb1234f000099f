"""Why something is not a request. A message names the place, and shows no value of the request."""

from __future__ import annotations


class Malformed(Exception):
    """It has the wrong shape."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Misspelt(Malformed):
    """It has a request's shape, and a member whose name is nearly one that is known. Ignoring it, as unknown members
    are, would ask something else than was meant."""
