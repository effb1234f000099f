"""`policyengine state session` and `unlabel`: shows a session, and removes labels from it, which nothing else does."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from policyengine.cli.console import FAILED, fail, say, say_json
from policyengine.cli.keys import ConfigOption
from policyengine.cli.loading import JsonOption
from policyengine.cli.state_store import StateOption, opened
from policyengine.diagnostics.safe_text import visible
from policyengine.state.operations import Document, DocumentsFound, Done, Label, ReadDocuments
from policyengine.state.session_grants import plain_labels
from policyengine.state.sessions import session_key
from policyengine.state.store import Store
from policyengine.state.windows import SECOND

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="the id of a session")]
TenantOption = Annotated[str, typer.Option("--tenant", help="the tenant of the session, if it has one")]


def session(
    id_: IdArgument,
    tenant: TenantOption = "",
    state: StateOption = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Show a session: whose it is, since when, and its labels. Exit status 1 if there is none."""
    with opened(state, config) as store:
        held = _held(store, tenant, id_)
    shown: dict[str, Any] = {
        "id": id_,
        "principal": held["principal"],
        "tenant": held["tenant"],
        "labels": list(plain_labels(held["labels"])),
        "started": _date(held["started"]),
        "expires": _date(held["expires"]),
    }
    if json_:
        say_json(shown)
        return
    for name, value in shown.items():
        say(visible(f"{name}: {', '.join(value) if isinstance(value, list) else value}"))


def unlabel(
    id_: IdArgument,
    labels: Annotated[list[str], typer.Argument(metavar="LABEL...", help="the labels to take away")],
    tenant: TenantOption = "",
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Remove labels from a session, after somebody has reviewed it. Exit status 1 if there is none."""
    with opened(state, config) as store:
        held = _held(store, tenant, id_)
        asked = Label(session_key(tenant, id_), held["tenant"], held["principal"], remove=tuple(labels))
        if not isinstance(store.run(asked), Done):
            fail("the session has ended meanwhile", status=FAILED)
    say(visible(f"unlabelled: {id_}, {', '.join(labels)}"))


def _held(store: Store, tenant: str, id_: str) -> Document:
    outcome = store.run(ReadDocuments((session_key(tenant, id_),)))
    held = outcome.documents[0] if isinstance(outcome, DocumentsFound) else None
    if held is None or (isinstance(outcome, DocumentsFound) and held["expires"] <= outcome.now):
        fail("there is no such session", status=FAILED)
    return held


def _date(at: int) -> str:
    return datetime.fromtimestamp(at / SECOND, UTC).isoformat(timespec="seconds")
