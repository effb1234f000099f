"""`policyengine serve`: answer over HTTP.

Checks the policies first, so that what is wrong with them is shown as `check` shows it. The service itself is named to
uvicorn by its import path and reads its settings from the environment; this module knows nothing else of it.
"""

from __future__ import annotations

import os
import secrets
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
import uvicorn

from policyengine.cache import SETTING as CACHE_SETTING
from policyengine.cli.check import count
from policyengine.cli.console import FAILED, fail, note, report, stderr
from policyengine.cli.loading import CacheOption, EntitiesOption, PolicyPath, QuietOption, load_engine
from policyengine.engine import Engine
from policyengine.testing import run_cases

APPLICATION = "policyengine.server.app:create_app"


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
    workers: Annotated[int, typer.Option(min=1, help="the number of processes")] = 1,
    gate: Annotated[Gate, typer.Option(help="what policies must pass before they answer")] = Gate.NONE,
    reload: Annotated[bool, typer.Option("--reload/--no-reload", help="load again when a file changes")] = True,
    log_format: Annotated[
        LogFormat | None, typer.Option("--log-format", help="console on a terminal, else json", show_default=False)
    ] = None,
    cache: CacheOption = True,
    quiet: QuietOption = False,
) -> None:
    """Answer the AuthZEN Authorization API over HTTP.

    Invalid policies are reported and nothing is served (exit status 1). Further settings are environment
    variables that start with POLICYENGINE_.
    """
    engine = load_engine(path, entities, cache)
    if gate is Gate.TESTS:
        _gate(engine)
    console = log_format is LogFormat.CONSOLE or (log_format is None and sys.stderr.isatty())
    os.environ |= _settings(path, entities, gate, reload, "console" if console else "json")
    if not cache:
        os.environ[CACHE_SETTING] = ""
    if uds is not None and not os.path.isdir(uds.absolute().parent):
        fail(f"--uds: no such directory: {uds.absolute().parent}")
    if console and not quiet:
        rules = count(len(engine.snapshot.policies.rules), "rule")
        where = f"unix:{uds}" if uds is not None else f"http://{f'[{host}]' if ':' in host else host}:{port}"
        note(f"serving {path} ({rules}, revision {engine.revision}) on {where}")
    uvicorn.run(
        APPLICATION,
        factory=True,
        host=host,
        port=port,
        uds=str(uds) if uds is not None else None,
        workers=workers,
        log_config=None,
        server_header=False,
        # The service reads them itself, where they matter.
        proxy_headers=False,
    )


def _gate(engine: Engine) -> None:
    results = run_cases(engine.snapshot.policies, engine.snapshot.schema)
    failed = [result.diagnostic() for result in results if not result.passed]
    if failed:
        report(failed, stderr())
        note("not serving: the policies fail their own tests, and --gate tests asks that they pass")
        raise typer.Exit(FAILED)


def _settings(path: Path, entities: Path | None, gate: Gate, reload: bool, log_format: str) -> dict[str, str]:
    """The environment that the service reads. Paths are absolute, so that it does not matter where a worker starts."""
    found = {
        "POLICYENGINE_POLICIES": str(path.absolute()),
        "POLICYENGINE_GATE": gate.value,
        "POLICYENGINE_RELOAD": "true" if reload else "false",
        "POLICYENGINE_LOG_FORMAT": log_format,
        # Any worker may be asked for the next page of a search that another began.
        "POLICYENGINE_PAGE_KEY": os.environ.get("POLICYENGINE_PAGE_KEY") or secrets.token_hex(32),
    }
    if entities is not None:
        found["POLICYENGINE_ENTITIES"] = str(entities.absolute())
    return found
