"""`policyengine filter`: which resources of a type a principal may see, before any of them is known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from policyengine.authzen import read
from policyengine.cli.console import DENY, fail, note, say, say_json
from policyengine.cli.loading import (
    STDIN,
    CacheOption,
    EntitiesOption,
    JsonOption,
    PolicyPath,
    existing_file,
    load_engine,
    read_bytes,
    read_json,
)
from policyengine.cli.request import understood
from policyengine.cli.verified import ApprovedOption, read_approved
from policyengine.diagnostics.safe_text import visible
from policyengine.filters.descriptions import MAPPED, STORES, as_json, store_of
from policyengine.filters.filter import Filter, Kind, NotExpressible
from policyengine.model.json_text import parse_json
from policyengine.model.values import Fault

_DEFAULT_COLUMNS = {"id": "id", "*": {"json": "data"}}


def complete_store(incomplete: str) -> list[str]:
    """The stores whose names begin with the text."""
    return [store for store in STORES if store.startswith(incomplete)]


def filter_(
    path: PolicyPath,
    principal: Annotated[str, typer.Option("--principal", "-p", metavar="JSON|FILE", help="who asks, as an entity")],
    action: Annotated[str, typer.Option("--action", "-a", metavar="NAME", help="the action")],
    resource_type: Annotated[str, typer.Option("--resource-type", "-t", metavar="TYPE", help="to which resources")],
    context: Annotated[
        str | None, typer.Option("--context", metavar="JSON|FILE", help="the circumstances", show_default=False)
    ] = None,
    entities: EntitiesOption = None,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="STORE|JSON|FILE",
            help=f"print the query for a store: {', '.join(STORES)}; or one described as `backend` of POST /v1/filter",
            autocompletion=complete_store,
            show_default=False,
        ),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            "--columns",
            metavar="JSON|FILE",
            help='where the store keeps the attributes, such as {"tenant": "tenant_id", "*": {"json": "data"}}',
            show_default=False,
        ),
    ] = None,
    exact: Annotated[bool, typer.Option("--exact", help="an exact query, or an error")] = False,
    documents: Annotated[
        Path | None,
        typer.Option(
            "--documents",
            "-d",
            metavar="FILE",
            help="print the documents in this file (one JSON object per line; - for standard input) that may be seen",
            show_default=False,
        ),
    ] = None,
    fulfils: Annotated[
        list[str] | None,
        typer.Option("--fulfils", metavar="TYPE,...", help="types of obligation that the caller will fulfil"),
    ] = None,
    approved: ApprovedOption = None,
    json: JsonOption = False,
    cache: CacheOption = True,
) -> None:
    """Print what is left of the policies for a principal: which resources of a type it may see.

    With --to, print the query for a store; with --documents, apply the filter at once. A query may find more than may
    be seen; the conditions to check again are printed on standard error, and are in `rechecked` with --json. Exit
    status: 0 some resources may be seen, or all; 3 none may, whatever they are like; 1 the policies are invalid; 2
    wrong usage, this is not a request, or the query is not exact with --exact.
    """
    asked = _asked(principal, action, resource_type, context)
    if documents is not None and to is not None:
        fail("--documents and --to exclude each other", "leave out one of them")
    if to is None and (exact or columns is not None):
        fail("--exact and --columns need a store", "name it with --to")
    engine = load_engine(path, entities, cache)
    promised = {name.strip() for option in fulfils or () for name in option.split(",")}
    # `decide` reports limits; what they apply to may be seen all the same.
    filtered = engine.filter(**asked, fulfilled=promised, approved=read_approved(approved, engine), metered=True)
    for error in filtered.errors:
        note(visible(f"nothing may be seen: {error.message}"))
    if documents is not None:
        _print_documents(filtered, documents)
    elif to is not None:
        _print_query(filtered, to, columns, exact, json)
    elif json:
        say_json({"kind": filtered.kind.value, "residual": filtered.explain(), "revision": filtered.revision})
    else:
        _print_text(filtered.explain())
    if filtered.kind is Kind.NEVER:
        raise typer.Exit(DENY)


def _asked(principal: str, action: str, resource_type: str, context: str | None) -> dict[str, Any]:
    """The arguments of `Engine.filter`, checked to be well formed."""
    entity = 'an entity is {"type": "...", "id": "...", ...attributes}'
    who = understood(read.entity, _value(principal, "--principal"), "--principal", entity)
    around = {} if context is None else _value(context, "--context")
    around = understood(read.context, around, "--context", "the context is a JSON object")
    return {"principal": who, "action": action, "resource_type": resource_type, "context": around}


def _value(given: str, option: str) -> Any:
    """The value of an option: JSON, or the name of a file with JSON."""
    if not given.lstrip().startswith("{"):
        path = Path(given)
        existing_file(path, option)
        return read_json(path, option)
    try:
        return parse_json(given.encode("utf-8", "surrogatepass"))
    except Fault as fault:
        fail(f"{option}: {fault.message}")


def _print_query(found: Filter, to: str, columns: str | None, exact: bool, json: bool) -> None:
    try:
        store = store_of(_store(to, columns))
    except ValueError as error:
        fail(f"--to: {error}")
    try:
        query = found.to(store, exact=exact)
    except NotExpressible as refused:
        conditions = ", ".join(f"`{each.span.text}`" for each in refused.diagnostics)
        fail(f"{store.name} cannot express exactly: {conditions}", "leave out --exact, and decide about each result")
    native = as_json(query)
    if json:
        kind, revision = found.kind.value, found.revision
        answer = {"kind": kind, "exact": query.exact, "query": native, "rechecked": query.rechecked}
        say_json({**answer, "residual": found.explain(), "revision": revision})
        return
    say_json(native)
    for condition in query.rechecked:
        note(visible(f"not exact, so decide about each result: {condition}"))


def _store(to: str, columns: str | None) -> Any:
    """The description of a store, which is given by name or as a description."""
    name = to.removeprefix("sql:")
    where = None if columns is None else _value(columns, "--columns")
    if name in STORES:
        where = _DEFAULT_COLUMNS if where is None and name in MAPPED else where
        return {"store": name} if where is None else {"store": name, "columns": where}
    if not set(to) & {"{", ".", "/"}:
        fail(f"--to: no such store: {to}", f"there are {', '.join(STORES)}, or a description: JSON, or a file.json")
    given = _value(to, "--to")
    if where is None:
        return given
    if type(given) is dict and "columns" in given:
        fail("--columns is given, and the description also has `columns`", "leave out one of them")
    return {**given, "columns": where} if type(given) is dict else given


def _print_documents(found: Filter, path: Path) -> None:
    existing_file(path, "--documents")
    name = "standard input" if str(path) == STDIN else str(path)
    for number, line in enumerate(read_bytes(path, "--documents").split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            document = parse_json(line)
        except Fault as fault:
            fail(f"{name}, line {number}: {fault.message}")
        if type(document) is not dict:
            fail(f"{name}, line {number}: this is not a JSON object", "one document per line")
        if found.matches(document):
            say(visible(line.decode("utf-8").strip()))


def _print_text(text: str) -> None:
    for line in text.rstrip("\n").split("\n"):
        say(visible(line))
