"""`policyengine keys`: API keys of the service, made, listed, rotated, revoked and checked."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, cast

import typer

from policyengine.callers import api_key, key_views
from policyengine.callers import keys as of_keys
from policyengine.callers.caller import SCOPES, Scope
from policyengine.callers.keys import Key, KeyUse, Network
from policyengine.callers.stores.store import Keys as Known
from policyengine.callers.stores.store import KeyStoreError
from policyengine.cli.console import DENY, FAILED, fail, note, say, say_json, say_table
from policyengine.cli.durations import duration
from policyengine.cli.loading import STDIN, JsonOption, QuietOption, read_text
from policyengine.diagnostics.suggest import did_you_mean
from policyengine.settings import keys as settings_keys
from policyengine.settings.loading import WrongSettings, load_keys
from policyengine.settings.model import KeySettings

app = typer.Typer(help="API keys: make, list, rotate, revoke and check them.", no_args_is_help=True)

StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store", metavar="STORE", show_default=False,
        help="a path, sqlite:PATH or postgresql://...; else POLICYENGINE_KEYS__STORE or the config file",
    ),
]  # fmt: skip
ConfigOption = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="a TOML file of settings", show_default=False)
]
IdArgument = Annotated[str, typer.Argument(metavar="ID", help="the id of a key, or its text", show_default=False)]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="what the key is for", show_default=False)],
    scope: Annotated[list[str], typer.Option(help=f"what it may ask: {', '.join(SCOPES)}", show_default=False)],
    tenant: Annotated[
        str | None, typer.Option(help="the only tenant that it may ask about", show_default=False)
    ] = None,
    address: Annotated[
        list[str] | None, typer.Option(help="an address or network from which it may be used", show_default=False)
    ] = None,
    expires: Annotated[
        str | None, typer.Option(metavar="DURATION", help="when it ends, such as 90d", show_default=False)
    ] = None,
    store: StoreOption = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Make a key, and show it once: only its hash is kept. The store is made if it does not exist."""
    scopes, networks = _scopes(scope), tuple(_network(each) for each in address or ())
    now = time.time()
    end = None if expires is None else now + duration(expires, "--expires", 0)
    with _errors():
        opened, hash_key = settings_keys.create(_keys(store, config))
        made, shown = of_keys.create(
            name, scopes, hash_key, now, tenant=tenant, addresses=networks, expires=end
        )  # fmt: skip
        opened.change(lambda _: made)
    if json_:
        say_json({**key_views.public(made, now), "key": shown.text})
        return
    say(shown.text)
    note(f"key {made.id} ({name}), for {', '.join(sorted(scopes))}; it is not shown again")


@app.command("list")
def list_(store: StoreOption = None, config: ConfigOption = None, json_: JsonOption = False) -> None:
    """List the keys, and how they were used. No secret is shown."""
    with _errors():
        opened, _ = settings_keys.opened(_keys(store, config))
        known, uses = opened.keys(), opened.uses()
    keys, now = sorted(known.values(), key=lambda key: (key.created, key.id)), time.time()
    if json_:
        say_json([{**key_views.public(key, now), "usage": key_views.usage(uses.get(key.id))} for key in keys])
        return
    rows = [_row(key, uses.get(key.id), now) for key in keys]
    say_table(("id", "name", "state", "scopes", "tenant", "addresses", "used", "last", "from"), rows)


@app.command()
def rotate(
    id_: IdArgument,
    overlap: Annotated[str, typer.Option(metavar="DURATION", help="how long the old secret stays good")] = "24h",
    store: StoreOption = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Give a key a new secret, and show it. The old one stays good for the overlap."""
    seconds = duration(overlap, "--overlap", 0)
    shown: list[api_key.ApiKey] = []
    with _errors():
        opened, hash_key = settings_keys.opened(_keys(store, config))

        def change(known: Known) -> Key:
            key, text = of_keys.rotate(_the_key(known, id_), hash_key, time.time(), seconds)
            shown[:] = [text]
            return key

        rotated = opened.change(change)
    if json_:
        say_json({**key_views.public(rotated, time.time()), "key": shown[0].text})
        return
    say(shown[0].text)
    note(f"key {rotated.id} ({rotated.name}) has a new secret, which is not shown again; the old one ends in {overlap}")


@app.command()
def revoke(id_: IdArgument, store: StoreOption = None, config: ConfigOption = None, quiet: QuietOption = False) -> None:
    """Revoke a key, within a second, on every process that uses this store."""
    with _errors():
        opened, _ = settings_keys.opened(_keys(store, config))
        revoked = opened.change(lambda known: of_keys.revoke(_the_key(known, id_), time.time()))
    if not quiet:
        note(f"key {revoked.id} ({revoked.name}) is revoked")


@app.command()
def check(
    store: StoreOption = None,
    config: ConfigOption = None,
    address: Annotated[
        str | None, typer.Option(help="an address: whether the key may be used from it", show_default=False)
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Read a key from standard input, and say whether it is good. Exit status: 0 good, 3 not."""
    text = read_text(Path(STDIN)).strip()
    with _errors():
        opened, hash_key = settings_keys.opened(_keys(store, config))
        now = time.time()
        state, key = key_views.judged(text, opened.keys(), hash_key, now, address)
    if json_:
        say_json({**(key_views.public(key, now) if key is not None else {}), "state": state})
    else:
        say(state if key is None else f"{state}: {key.id} ({key.name})")
    if state != "good":
        raise typer.Exit(DENY)


# ---- what is given, and what is shown ----


def _keys(store: str | None, config: Path | None) -> KeySettings:
    try:
        settings = load_keys(store, config=config)
    except WrongSettings as error:
        fail(str(error))
    if settings.store is None:
        fail("which store?", "give --store, or set POLICYENGINE_KEYS__STORE")
    return settings


def _the_key(known: Known, id_: str) -> Key:
    shown = api_key.parse(id_)
    name = shown.id if shown is not None else id_
    if name not in known:
        raise ValueError("no key has that id" + (f"; {hint}" if (hint := did_you_mean(name, known)) else ""))
    return known[name]


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except (KeyStoreError, ValueError) as error:
        fail(str(error), status=FAILED)


def _scopes(named: list[str]) -> frozenset[Scope]:
    for each in named:
        if each not in SCOPES:
            fail(f"--scope: no such scope: {each}", did_you_mean(each, SCOPES) or f"one of {', '.join(SCOPES)}")
    return frozenset(cast("list[Scope]", named))


def _network(text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError:
        fail(f"--address: not an address or a network: {text}", "write 10.0.0.7 or 10.0.0.0/24")


def _row(key: Key, use: KeyUse | None, now: float) -> tuple[str, ...]:
    return (
        key.id, key.name, key_views.state(key, now), " ".join(sorted(key.scopes)), key.tenant or "-",
        " ".join(map(str, key.addresses)) or "-", str(use.count if use else 0), _date(use.last if use else None),
        (use.address if use else "") or "-",
    )  # fmt: skip


def _date(seconds: float | None) -> str:
    return "-" if seconds is None else key_views.date(seconds)
