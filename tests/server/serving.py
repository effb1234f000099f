"""A real server, uvicorn on a free port in a thread of this process, for tests that speak HTTP."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from policyengine.server.app import create_app
from policyengine.server.pipeline import Authenticate
from policyengine.settings.model import Settings

START_TIMEOUT = 60.0
EVALUATION = "/access/v1/evaluation"
EVALUATIONS = "/access/v1/evaluations"
SEARCH_SUBJECT = "/access/v1/search/subject"
SEARCH_RESOURCE = "/access/v1/search/resource"
SEARCH_ACTION = "/access/v1/search/action"


@contextmanager
def serving(policies: Path, authenticate: Authenticate | None = None, **settings: Any) -> Iterator[httpx.Client]:
    """A client of a server for `policies`, with these settings; everybody may ask, unless they say who may. Raises
    RuntimeError if it does not start."""
    with (
        serving_at(policies, authenticate, **settings) as (host, port),
        httpx.Client(base_url=f"http://{host}:{port}", trust_env=False, timeout=20) as client,
    ):
        yield client


@contextmanager
def serving_at(
    policies: Path, authenticate: Authenticate | None = None, http: Any = "auto", **settings: Any
) -> Iterator[tuple[str, int]]:
    """Where such a server listens; `http` is its protocol."""
    settings.setdefault("insecure", not settings.keys() & {"keys", "issuers", "certificates"})
    settings.setdefault("reload", False)
    settings.setdefault("log_level", "error")
    app = create_app(Settings(policies=policies, **settings), authenticate=authenticate)
    server = uvicorn.Server(uvicorn.Config(app, port=0, http=http, log_config=None, lifespan="on", proxy_headers=False))

    def run() -> None:
        with suppress(SystemExit):  # how uvicorn says that the application did not start
            server.run()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        deadline = time.monotonic() + START_TIMEOUT
        while not server.started:
            if not thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError("the server did not start")
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield "127.0.0.1", port
    finally:
        server.should_exit = True
        thread.join()
