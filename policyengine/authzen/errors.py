"""Why something is not a request. A message names the place, and shows no value of the request."""

from __future__ import annotations


class Malformed(Exception):
    """It has the wrong shape."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Misspelt(Malformed):
    """It has a request's shape, and a member whose name is almost a known one. If it were ignored, as unknown members
    are, something else would be asked than was meant."""
