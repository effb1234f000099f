"""What can be configured, from environment variables that start with POLICYENGINE_."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict


def _base_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("expected an http(s) URL without query and fragment")
    return url.rstrip("/")


def _named(path: object) -> object:
    if path == "":
        # It would be the current directory.
        raise ValueError("the path is empty")
    return path


class Settings(BaseSettings):
    """The settings of one server process. Sizes are in bytes."""

    model_config = SettingsConfigDict(env_prefix="POLICYENGINE_", extra="ignore", frozen=True)

    policies: Annotated[Path, BeforeValidator(_named)] = Field(description="a directory of .pol files, or one file")
    entities: Annotated[Path | None, BeforeValidator(_named)] = Field(None, description="a JSON file of entities")
    gate: Literal["none", "tests"] = Field("none", description="what a changed bundle must pass before it answers")
    reload: bool = Field(True, description="load again when a file changes")

    public_url: Annotated[str, AfterValidator(_base_url)] | None = Field(
        None, description="the base URL that clients use, for the metadata; derived from each request if not given"
    )
    max_body_bytes: int = Field(1 << 20, gt=0, description="a larger request body is refused with 413")
    max_batch: int = Field(10_000, gt=0, description="more evaluations in one request are refused with 413")
    max_work: int = Field(100_000, gt=0, description="evaluations that ask for more work are refused with 413")
    max_page: int = Field(10_000, gt=0, description="a search that finds more is answered in pages of this many")
    page_key: SecretStr = Field(
        default_factory=lambda: SecretStr(secrets.token_hex(32)),
        min_length=16,
        description="seals page tokens: the same for processes that answer for each other; random if not given",
    )

    log_format: Literal["json", "console"] = "json"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    decision_log: Literal["off", "debug", "info"] = Field(
        "debug", description="the level of the line that each decision writes"
    )


def from_environment() -> Settings:
    """The settings of this process. Wrong ones end it: the status is 2, as for any other wrong usage."""
    try:
        return Settings()
    except ValidationError as error:
        for each in error.errors():
            names = "_".join(str(part) for part in each["loc"])
            sys.stderr.write(f"error: POLICYENGINE_{names.upper()}: {each['msg']}\n")
        raise SystemExit(2) from None
