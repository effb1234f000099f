"""The state store that a command is about: from --state, the environment or the file of settings."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from policyengine.cli.console import DENY, FAILED, fail
from policyengine.settings.loading import WrongSettings, load
from policyengine.state.approval_calls import ApprovalError
from policyengine.state.prices import Prices
from policyengine.state.store import Store, StoreError
from policyengine.state.stores.opening import open_store

StateOption = Annotated[
    str | None,
    typer.Option(
        "--state", metavar="URL", show_default=False,
        help="sqlite:///..., redis://... or postgresql://...; else POLICYENGINE_STATE or the config file",
    ),
]  # fmt: skip
ByOption = Annotated[str, typer.Option("--by", help="who does it; you, if not given", show_default=False)]


def me() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def prices(config: Path | None) -> Prices:
    """The prices of tokens, from the settings; an error in them ends the command."""
    try:
        return load({"policies": Path()}, config=config).prices.prices()
    except WrongSettings as error:
        fail(error.problems[0])


@contextmanager
def opened(state: str | None, config: Path | None) -> Iterator[Store]:
    """The store that the options name; an error with it ends the command."""
    flags: dict[str, Any] = {"policies": Path()}
    if state is not None:
        flags["state"] = state
    try:
        url = load(flags, config=config).state
        if url.startswith("memory:"):
            fail("memory:// belongs to one process", "name the store that nodes share: --state, or POLICYENGINE_STATE")
        store = open_store(url)
        try:
            yield store
        finally:
            store.close()
    except WrongSettings as error:
        fail(error.problems[0])
    except ValueError as error:
        fail(str(error))
    except StoreError as error:
        fail(str(error), status=FAILED)


@contextmanager
def reported() -> Iterator[None]:
    """An error of an approval or the store ends the command with a message."""
    try:
        yield
    except ApprovalError as error:
        fail(error.reason, status=DENY)
    except StoreError as error:
        fail(str(error), status=FAILED)
