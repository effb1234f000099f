"""How commands inspect texts: the section `[texts]` of the settings, as a service reads it, and the options that
override it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from policyengine.cli.console import fail, note
from policyengine.cli.loading import existing_file
from policyengine.diagnostics.safe_text import visible
from policyengine.settings.loading import WrongSettings, load, variable
from policyengine.settings.texts import Texts

# Where canaries are kept by default.
CANARIES = ".policyengine/canaries.json"
CANARY_VARIABLE = variable("texts", "canary_file")

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="a TOML file of settings, for its section texts", show_default=False),
]
RegionsOption = Annotated[
    str | None,
    typer.Option(
        "--regions", metavar="CODE,...", help="the countries of telephone numbers and identifiers; US,GB by default",
        show_default=False,
    ),
]  # fmt: skip
LanguagesOption = Annotated[
    str | None,
    typer.Option(
        "--languages", metavar="CODE,...", help="the languages of street addresses and dates of birth; all by default",
        show_default=False,
    ),
]  # fmt: skip
CanariesOption = Annotated[
    Path | None,
    typer.Option(
        "--canaries", metavar="FILE", help="those of `policyengine canary`; else .policyengine/canaries.json",
        show_default=False,
    ),
]  # fmt: skip
KeyFileOption = Annotated[
    Path | None,
    typer.Option("--key-file", metavar="FILE", help="32, 48 or 64 random bytes in base64, for hashes and tokens"),
]


def remembered_in(file: Path | None) -> Path:
    """The file of canaries, whether or not it exists."""
    return file or Path(os.environ.get(CANARY_VARIABLE) or CANARIES)


def texts(
    config: Path | None,
    *,
    regions: str | None = None,
    languages: str | None = None,
    canaries: Path | None = None,
    key_file: Path | None = None,
) -> Texts:
    """The settings. An error in them ends the command."""
    existing_file(config, "--config")
    existing_file(canaries, "--canaries")
    existing_file(key_file, "--key-file")
    given: dict[str, Any] = {}
    if regions is not None:
        given["regions"] = _codes("--regions", regions, "countries", str.upper)
    if languages is not None:
        given["languages"] = _codes("--languages", languages, "languages", str.lower)
    if canaries is not None:
        given["canary_file"] = str(canaries)
    if key_file is not None:
        given["key_file"] = str(key_file)
    settings = _loaded(given, config)
    if settings.canary_file is None and os.path.isfile(CANARIES):
        return _loaded({**given, "canary_file": CANARIES}, config)
    return settings


def _loaded(given: Mapping[str, Any], config: Path | None) -> Texts:
    try:
        return load({"policies": Path(), "texts": dict(given)}, config=config).texts
    except WrongSettings as error:
        for problem in error.problems[:-1]:
            note(f"error: {visible(problem)}")
        fail(visible(error.problems[-1]))


def _codes(option: str, given: str, what: str, case: Any) -> list[str]:
    codes = [case(code.strip()) for code in given.split(",")]
    if not all(len(code) == 2 and code.isalpha() and code.isascii() for code in codes):
        fail(f"{option}: `{given}` is not a list of {what}", "two letters each, as in US,GB")
    return codes
