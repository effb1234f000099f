"""The problems of the profile: each has a status and a name of its own."""

from __future__ import annotations

from policyengine.server.errors import RequestError

ERROR = "urn:openid:authzen:access-request:error:"


class ProfileError(RequestError):
    """One of the profile's problems."""

    def __init__(self, status: int, name: str, message: str) -> None:
        super().__init__(status, message, type=ERROR + name)


def unbound(message: str) -> ProfileError:
    """The submission cannot be tied to a denial."""
    return ProfileError(400, "invalid_denial_binding", message)
