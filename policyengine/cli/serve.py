"""`policyengine serve`: answer over HTTP.

Checks the policies first, so that errors in them are shown as `check` shows them. The service itself is named to
uvicorn by its import path and reads its settings from the environment; this module knows nothing else of it.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import ssl
import sys
import time
from contextlib import nullcontext, suppress
from enum import StrEnum
from errno import EACCES
from pathlib import Path
from typing import Annotated, Any

import typer

from policyengine.callers import keys as keys_of
from policyengine.callers.caller import SCOPES
from policyengine.callers.local import is_loopback
from policyengine.callers.stores.store import KeyStoreError
from policyengine.cli.check import count
from policyengine.cli.console import FAILED, fail, note, report, say, stderr
from policyengine.cli.loading import CacheOption, EntitiesOption, PolicyPath, QuietOption, existing_file, load_engine
from policyengine.cli.not_in_force import not_in_force
from policyengine.cli.texts import CANARIES, CANARY_VARIABLE
from policyengine.cli.unix_socket import unix_socket
from policyengine.diagnostics.safe_text import visible
from policyengine.engine import Engine
from policyengine.lazy_import import library
from policyengine.settings.as_toml import shown
from policyengine.settings.keys import create
from policyengine.settings.loading import CONFIG, WrongSettings, load, variable
from policyengine.settings.model import KeySettings, Settings
from policyengine.testing import run_cases
from policyengine.version import other_package
from policyengine.warm.cache import SETTING as CACHE_SETTING
from policyengine.workers.supervisor import supervise

_uvicorn = library("uvicorn")
KEYS_VARIABLE = variable("keys", "store")
APPLICATION = "policyengine.server.app:application"
LISTENER = "policyengine.server.listener:Listener"
# The part of `[limits]` that the listener reads before the settings are loaded.
OF_CONNECTIONS = (
    "concurrency", "wait", "connections", "headers", "header_bytes", "header_seconds", "body_seconds", "read_seconds"
)  # fmt: skip
# Where `--new-key` keeps keys by default.
KEYS = ".policyengine/keys.json"
# Where limits and sessions are kept by default: all workers share it, and it survives a restart.
STATE = ".policyengine/state.db"
# How many seconds requests under way have to finish when the service ends.
ENDING = 20
_DAY = 86_400.0


class Gate(StrEnum):
    NONE = "none"
    TESTS = "tests"


class LogFormat(StrEnum):
    CONSOLE = "console"
    JSON = "json"


def serve(
    path: PolicyPath,
    entities: EntitiesOption = None,
    host: Annotated[str, typer.Option(help="the address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="the port; 0 for any that is free")] = 8080,
    uds: Annotated[Path | None, typer.Option(metavar="SOCKET", help="listen on a Unix socket instead")] = None,
    uds_mode: Annotated[
        str, typer.Option("--uds-mode", metavar="MODE", help="the permissions of the socket, as for chmod")
    ] = "600",
    workers: Annotated[int, typer.Option(min=1, help="the number of processes")] = 1,
    gate: Annotated[Gate, typer.Option(help="what new policies must pass before they answer")] = Gate.NONE,
    reload: Annotated[bool, typer.Option("--reload/--no-reload", help="load again when a file changes")] = True,
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="a TOML file of settings", show_default=False)
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="answer anybody on this machine, without authentication")
    ] = False,
    keys: Annotated[
        str | None,
        typer.Option(metavar="STORE", help="where API keys are kept: see `policyengine keys`", show_default=False),
    ] = None,
    new_key: Annotated[bool, typer.Option("--new-key", help="make a key for a day, and show how to use it")] = False,
    print_config: Annotated[
        bool, typer.Option("--print-config", help="print the settings, without secrets, and end")
    ] = False,
    tls_cert: Annotated[Path | None, typer.Option(metavar="FILE", help="serve https", show_default=False)] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="its key", show_default=False)] = None,
    client_ca: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="the authorities that sign client certificates", show_default=False),
    ] = None,
    log_format: Annotated[
        LogFormat | None, typer.Option("--log-format", help="console on a terminal, else json", show_default=False)
    ] = None,
    cache: CacheOption = True,
    quiet: QuietOption = False,
) -> None:
    """Answer the AuthZEN Authorization API over HTTP.

    Invalid policies are reported and nothing is served (exit status 1). Further settings are in --config, and in
    environment variables that start with POLICYENGINE_. Callers need a key, a token or a certificate.
    """
    if new_key and keys is None and not os.environ.get(KEYS_VARIABLE):
        keys = KEYS
    flags = _flags(path, entities, gate, reload, insecure, keys)
    settings = _settings(flags, config)
    if settings.texts.canary_file is None and os.path.isfile(CANARIES):
        flags["texts"] = {"canary_file": str(Path(CANARIES).absolute())}
        settings = _settings(flags, config)
    if "state" not in settings.model_fields_set:
        settings = settings.model_copy(update={"state": _default_state(workers, make=not print_config)})
        flags["state"] = settings.state
    if print_config:
        say(shown(settings).rstrip("\n"))
        return
    # Errors are reported before anything is changed: the environment is this process's own.
    _check_bind(settings, host, uds)
    if workers > 1 and settings.guardrail.enabled:
        fail(
            "--workers: LiteLLM's guardrail API is answered by one process alone: it remembers what each request said",
            "leave --workers out, or put `guardrail.enabled = false` and use the callback `PolicyProxy` in the proxy",
        )
    if uds is not None and not os.path.isdir(uds.absolute().parent):
        fail(f"--uds: no such directory: {uds.absolute().parent}")
    if re.fullmatch("0?[0-7]{3}", uds_mode) is None:
        fail("--uds-mode: three digits from 0 to 7, such as 660")
    if bool(tls_cert) != bool(tls_key) or (client_ca and not tls_cert):
        fail("--tls-cert and --tls-key belong together, and --client-ca needs both")
    for option, file in (("--tls-cert", tls_cert), ("--tls-key", tls_key), ("--client-ca", client_ca)):
        existing_file(file, option)
    if other := other_package():
        note(visible(f"warning: {other}"))
    engine = load_engine(path, entities, cache)
    if gate is Gate.TESTS:
        _gate(engine)
    console = log_format is LogFormat.CONSOLE or (log_format is None and sys.stderr is not None and sys.stderr.isatty())
    os.environ |= _environment(flags, config, settings, "console" if console else "json")
    if not cache:
        os.environ[CACHE_SETTING] = ""
    secret = _new_key(settings.keys) if new_key else None
    if (console or secret is not None) and not quiet:
        rules = count(len(engine.snapshot.policies.rules), "rule")
        scheme = "https" if tls_cert else "http"
        where = f"unix:{uds}" if uds is not None else f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
        note(f"serving {path} ({rules}, revision {engine.revision}) on {where}")
        if settings.insecure:
            note("insecure: every process on this machine may ask anything; requests from elsewhere are refused")
    if secret is not None:
        _show(secret, host, port, uds, tls_cert is not None)
    if not quiet:
        for line in not_in_force([engine.snapshot.policies], metered=settings.evaluation == "authorize"):
            if console:
                note(line)
            else:
                typer.echo(json.dumps({"event": "not_in_force", "level": "warning", "detail": line}), err=True)
    with nullcontext() if uds is None else unix_socket(uds.absolute(), int(uds_mode, 8)) as descriptor:
        _run(host, port, descriptor, workers, (tls_cert, tls_key, client_ca))


def _run(
    host: str, port: int, descriptor: int | None, workers: int, tls: tuple[Path | None, Path | None, Path | None]
) -> None:
    tls_cert, tls_key, client_ca = tls
    options: dict[str, Any] = {
        "factory": True,
        "host": host,
        "port": port,
        "fd": descriptor,
        "workers": workers,
        # On a busy machine a worker may be slow without hanging: five seconds would end it.
        "timeout_worker_healthcheck": 60,
        # Streams, and peers that read nothing, could go on for minutes.
        "timeout_graceful_shutdown": ENDING,
        "log_config": None,
        "server_header": False,
        # The service reads them itself where they matter.
        "proxy_headers": False,
        "http": LISTENER,
        "ssl_certfile": tls_cert,
        "ssl_keyfile": tls_key,
        "ssl_ca_certs": str(client_ca) if client_ca is not None else None,
        # A caller with a key needs no certificate; but a certificate that is shown must be valid.
        "ssl_cert_reqs": ssl.CERT_OPTIONAL if client_ca is not None else ssl.CERT_NONE,
    }
    if workers == 1:
        _uvicorn.run(APPLICATION, **options)
    elif status := supervise(_uvicorn.Config(APPLICATION, **options), _ended):
        note("not serving: no worker could start")
        raise typer.Exit(status)


def _ended(pid: int | None, status: int | None) -> None:
    with suppress(OSError, ValueError):
        typer.echo(json.dumps({"event": "worker ended", "level": "error", "pid": pid, "status": status}), err=True)


def _default_state(workers: int, make: bool) -> str:
    """The store that all workers share; memory if nothing can be written and there is only one worker."""
    file = Path(STATE).absolute()
    try:
        if make:
            file.parent.mkdir(mode=0o700, exist_ok=True)
            if not os.access(file.parent, os.W_OK):
                raise PermissionError(EACCES, os.strerror(EACCES))
    except OSError as error:
        why = f"cannot write to {file.parent}: {(error.strerror or 'not possible').lower()}"
        if workers > 1:
            fail(why, "say where limits and sessions are kept, for all workers: POLICYENGINE_STATE=redis://...")
        note(visible(f"warning: limits, sessions and blocks are kept in memory, until this process ends: {why}"))
        return "memory://"
    return f"sqlite:///{file}"


def _gate(engine: Engine) -> None:
    results = run_cases(engine.snapshot.policies, engine.snapshot.schema)
    failed = [result.diagnostic() for result in results if not result.passed]
    if failed:
        report(failed, stderr())
        note("not serving: the policies fail their own tests, and --gate tests asks that they pass")
        raise typer.Exit(FAILED)


def _flags(
    path: Path, entities: Path | None, gate: Gate, reload: bool, insecure: bool, keys: str | None
) -> dict[str, Any]:
    """The settings from the command line. Paths are absolute, so that it does not matter where a worker starts."""
    flags: dict[str, Any] = {"policies": str(path.absolute()), "gate": gate.value, "reload": reload}
    if entities is not None:
        flags["entities"] = str(entities.absolute())
    if insecure:
        flags["insecure"] = True
    if keys is not None:
        flags["keys"] = {"store": keys}
    return flags


def _settings(flags: dict[str, Any], config: Path | None) -> Settings:
    try:
        return load(flags, config=config)
    except WrongSettings as error:
        for problem in error.problems[:-1]:
            note(f"error: {visible(problem)}")
        fail(error.problems[-1])


def _check_bind(settings: Settings, host: str, uds: Path | None) -> None:
    if settings.insecure and uds is None and not is_loopback(host):
        fail(
            f"--insecure: {host} can be reached from other machines",
            "listen on 127.0.0.1 or a Unix socket, or let callers have keys: --keys",
        )
    if not settings.insecure and not settings.has_credentials:
        fail(
            "the service would refuse every request: no keys, issuers or certificates are set",
            "give --new-key to try it, --keys for a store of keys, or --insecure to answer anybody on this machine",
        )


def _environment(flags: dict[str, Any], config: Path | None, settings: Settings, log_format: str) -> dict[str, str]:
    """The environment that the service reads."""
    environment = {
        variable(name): ("true" if value else "false") if isinstance(value, bool) else str(value)
        for name, value in flags.items()
        if name not in ("keys", "texts")
    }
    if "texts" in flags:
        environment[CANARY_VARIABLE] = flags["texts"]["canary_file"]
    if settings.keys.store is not None and "keys" in flags:
        environment[KEYS_VARIABLE] = settings.keys.store
    if config is not None:
        environment[CONFIG] = str(config.absolute())
    for name in OF_CONNECTIONS:
        value = getattr(settings.limits, name)
        if value is not None:
            environment[variable("limits", name)] = str(value)
    environment[variable("log_format")] = log_format
    if "page_key" not in settings.model_fields_set and settings.page_key_file is None:
        # Any worker may get the request for the next page of a search that another began.
        environment[variable("page_key")] = secrets.token_hex(32)
    return environment


def _new_key(of: KeySettings) -> str:
    """A key for a day, which may do everything. The caller shows its text; it is stored nowhere."""
    try:
        store, hash_key = create(of)
        now = time.time()
        made, text = keys_of.create("serve --new-key", frozenset(SCOPES), hash_key, now, expires=now + _DAY)
        store.change(lambda _: made)
        store.close()
    except KeyStoreError as error:
        fail(str(error), status=FAILED)
    return text.text


def _show(secret: str, host: str, port: int, uds: Path | None, tls: bool) -> None:
    name = f"[{host}]" if ":" in host else {"0.0.0.0": "localhost"}.get(host, host)
    where = (
        f"--unix-socket {uds} http://localhost" if uds is not None else f"{'https' if tls else 'http'}://{name}:{port}"
    )
    note(f"a key for one day, shown only once: {secret}")
    note(f"ask with it: curl -H 'Authorization: Bearer {secret}' {where}/readyz")
