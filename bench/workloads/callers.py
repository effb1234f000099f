"""Callers: what it costs to ask who asks. One evaluation through the whole application, without a network.

The floor is the same service that answers anybody on this machine. Without a network the share of the credential is
larger than any client sees; what it takes in microseconds is the same.
"""

from __future__ import annotations

import asyncio
import gc
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.options import Options
from bench.peers.environment import ROOT
from bench.results import Results, Row
from bench.servers.credentials import new_key, new_token
from policyengine.engine import Engine
from policyengine.server.app import create_app
from policyengine.server.pipeline import Pipeline
from policyengine.settings.model import Settings

NAME = "callers"
FLOOR = "anybody (--insecure)"
KEY, TOKEN = "an API key", "a token that was seen before"
CASE = "one evaluation, in process"
_POLICIES = ROOT / "policies" / "support"
_BODY = (_POLICIES / "requests" / "large_refund.authzen.json").read_bytes()
Headers = list[tuple[bytes, bytes]]


def run(options: Options) -> Results:
    rounds, each = (5, 200) if options.quick else (30, 1_000)
    with tempfile.TemporaryDirectory(prefix="bench-callers-") as directory:
        best = asyncio.run(_best(_services(Path(directory)), rounds, each))
    results = Results()
    for name, seconds in best.items():
        results.rows.append(Row(NAME, CASE, name, 1 / seconds, "requests/s", best[FLOOR] / seconds, FLOOR))
    return results


def _services(home: Path) -> dict[str, tuple[Pipeline, Headers]]:
    """The services, each with the headers that open it."""
    of_keys, shown = new_key(home, "decide")
    issuer, token = new_token(home, "decide")
    return {
        FLOOR: (_service(insecure=True), []),
        KEY: (_service(keys=of_keys), [(b"authorization", f"Bearer {shown.text}".encode())]),
        TOKEN: (_service(issuers=[issuer]), [(b"authorization", f"Bearer {token}".encode())]),
    }


def _service(**settings: Any) -> Pipeline:
    app = create_app(Settings(policies=_POLICIES, log_level="error", **settings))
    app.slot.engine = Engine.load(_POLICIES, entities=_POLICIES / "entities.json")
    return app


async def _best(services: Mapping[str, tuple[Pipeline, Headers]], rounds: int, each: int) -> dict[str, float]:
    """The seconds of one request, of the best round."""
    best: dict[str, float] = {}
    for _ in range(rounds):
        for name, (app, headers) in services.items():
            await _ask(app, headers)
            gc.disable()
            started = time.perf_counter()
            for _ in range(each):
                await _ask(app, headers)
            best[name] = min(best.get(name, 1.0), (time.perf_counter() - started) / each)
            gc.enable()
    return best


async def _ask(app: Pipeline, headers: Headers) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": _BODY, "more_body": False}

    async def send(message: Any) -> None:
        if message.get("status", 200) != 200:
            raise RuntimeError(f"answered {message['status']}")

    usual = [(b"host", b"127.0.0.1:8080"), (b"content-type", b"application/json")]
    scope = {
        "type": "http", "method": "POST", "path": "/access/v1/evaluation", "root_path": "", "scheme": "http",
        "server": ("127.0.0.1", 8080), "client": ("127.0.0.1", 50000), "headers": [*usual, *headers],
    }  # fmt: skip
    await app(scope, receive, send)
