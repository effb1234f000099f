"""The settings of a gateway that serves clients with tokens of their own: its URL, and whose tokens it accepts.

resource = "https://gateway.example/mcp"
scopes = ["tools"]

[[issuers]]
issuer = "https://login.example"
claims = { principal_type = "User", tenant = "tenant", attributes = { tenant = "tenant", roles = "roles" } }
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from policyengine.settings.loading import WrongSettings, problems, unknown_keys, with_webhook_secrets
from policyengine.settings.model import Events, Issuer, Text, check_remote

T = TypeVar("T", bound=BaseModel)


class GatewaySettings(BaseModel):
    """The settings of a protected resource (RFC 9728), and of the issuers of its tokens."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    resource: Text = Field(description="the URL that clients reach it at; the audience of their tokens (RFC 8707)")
    scopes: list[Text] = Field([], description="what a token must have in its scope")
    issuers: list[Issuer] = Field(min_length=1)
    failures: int = Field(5, gt=0, description="refused tokens of one address in `failures_per` seconds")
    failures_per: float = Field(60.0, gt=0)

    @model_validator(mode="before")
    @classmethod
    def _audiences(cls, value: Any) -> Any:
        # A token is for this gateway: unless an issuer cannot say so, its audience is the resource.
        if isinstance(value, dict) and isinstance(value.get("issuers"), list):
            filled = [
                {"audiences": [value.get("resource")], **each} if isinstance(each, dict) else each
                for each in value["issuers"]
            ]
            return {**value, "issuers": filled}
        return value

    @model_validator(mode="after")
    def _means_something(self) -> Self:
        check_remote(self.resource)
        for each in self.issuers:
            if each.claims.principal_type is None:
                raise ValueError("an issuer needs `claims.principal_type`, the type of its users")
        if len({each.issuer for each in self.issuers}) != len(self.issuers):
            raise ValueError("two issuers have the same name")
        return self


def load_gateway(path: Path) -> GatewaySettings:
    """Raises WrongSettings."""
    return _loaded(path, GatewaySettings)


def load_events(path: Path) -> Events:
    """Where events are reported, as in the section `[events]` of the service's settings. Raises WrongSettings."""
    return with_webhook_secrets(_loaded(path, Events))


def _loaded(path: Path, kind: type[T]) -> T:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError):
        raise WrongSettings(f"{path}: cannot be read as TOML") from None
    unknown = unknown_keys(document, kind, "")
    if unknown:
        raise WrongSettings(*unknown)
    try:
        return kind(**document)
    except ValidationError as error:
        raise WrongSettings(*problems(error)) from None
