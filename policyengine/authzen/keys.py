"""API keys on the wire, for administrators: requests and answers.

An unknown member is refused: a misspelt `tenant` would make a key for every tenant.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from policyengine.diagnostics.safe_text import is_safe


def _seen(text: str) -> str:
    if not is_safe(text):
        raise ValueError("a character cannot be seen: leave it out")
    return text


Text = Annotated[str, Field(min_length=1, max_length=256), AfterValidator(_seen)]
Seconds = Annotated[float, Field(ge=0, le=3_155_760_000)]
State = Literal["good", "expired", "revoked"]
DAY = 86_400.0


class _In(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class _Out(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NewKey(_In):
    """A key to be made. If the caller is bound to a tenant, the key belongs to that tenant."""

    name: Text = Field(description="what it is for")
    scopes: list[Text] = Field(min_length=1, max_length=32, description="what it may ask")
    tenant: Text | None = Field(None, description="the only tenant that it may ask about")
    addresses: list[Text] = Field([], max_length=64, description="the networks that it may be used from; any if none")
    seconds: Seconds | None = Field(None, gt=0, description="after which it ends; never if not given")


class RotatedKey(_In):
    """A key that is to get a new secret."""

    id: Text
    overlap: Seconds = Field(DAY, description="the seconds that the old secret stays good")


class RevokedKey(_In):
    """A key that is to be revoked."""

    id: Text


class CheckedKey(_In):
    """The text of a key that is to be checked."""

    key: Text
    address: Text | None = Field(None, description="whether it may be used from there")


class KeyUsage(_Out):
    """How often a key was used, and when and from where it was last used."""

    count: int
    last: str | None
    address: str | None


class KeyInfo(_Out):
    """A key without its secrets. Times are RFC 3339."""

    id: str
    name: str
    state: State
    scopes: list[str]
    tenant: str | None
    addresses: list[str]
    created: str
    expires: str | None
    secrets: int = Field(description="how many are kept; those before the newest end with their overlap")


class UsedKey(KeyInfo):
    usage: KeyUsage


class MadeKey(KeyInfo):
    key: str = Field(description="its text, which is shown this once", repr=False)


class KeyList(_Out):
    keys: list[UsedKey]


class KeyVerdict(_Out):
    """The verdict about a text: `good`, or why not; and the key that it belongs to, if that is known."""

    state: Literal["good", "expired", "revoked", "unknown", "not a key", "not from this address"]
    key: KeyInfo | None = None
