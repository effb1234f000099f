"""Servers for the HTTP workload: what each is started with, how it is asked, and how its answer reads."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.servers import bodies
from bench.servers.binaries import CERBOS, OPA, Binary
from bench.workloads import documents

CONFIG = Path(__file__).parent

# A body for one request; a body for several; the decisions in an answer to either.
One = Callable[[documents.Request], Any]
Many = Callable[[Sequence[documents.Request]], Any]
Read = Callable[[Any], list[bool]]


@dataclass(frozen=True, slots=True)
class Server:
    """`command` takes a directory for files, and a port. A server without `read` answers a constant."""

    name: str
    command: Callable[[Path, int], list[str]]
    ready: str
    single: str
    one: One
    batch: str = ""
    many: Many | None = None
    read: Read | None = None
    binary: Binary | None = None
    env: Mapping[str, str] = field(default_factory=dict)


# Whoever asks again at once when it is answered lets requests wait, and this is about how many are answered.
PATIENT = {"POLICYENGINE_LIMITS__WAIT": "60"}


def _policyengine(home: Path, port: int) -> list[str]:
    policy = home / "documents.pol"
    policy.write_text(documents.policy("attribute"), encoding="utf-8")
    command = [sys.executable, "-m", "policyengine.cli", "serve", str(policy), "--no-reload", "--quiet", "--insecure"]
    return [*command, "--port", str(port)]


def _uvicorn(application: str) -> Callable[[Path, int], list[str]]:
    def command(_: Path, port: int) -> list[str]:
        flags = ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "error"]
        return [sys.executable, "-m", "uvicorn", application, "--port", str(port), *flags]

    return command


def _opa(_: Path, port: int) -> list[str]:
    policy = CONFIG / "documents.rego"
    flags = ["--log-level", "error", "--disable-telemetry", "--addr", f"127.0.0.1:{port}"]
    return [str(OPA.path), "run", "--server", *flags, str(policy)]


def _cerbos(_: Path, port: int) -> list[str]:
    settings = {
        "server.httpListenAddr": f"127.0.0.1:{port}",
        "server.grpcListenAddr": f"127.0.0.1:{port + 1}",
        "storage.driver": "disk",
        "storage.disk.directory": str(CONFIG / "cerbos"),
        "storage.disk.watchForChanges": "false",
        "telemetry.disabled": "true",
        "server.adminAPI.enabled": "false",
    }
    sets = [f"--set={name}={value}" for name, value in settings.items()]
    return [str(CERBOS.path), "server", "--log-level=error", *sets]


ENGINE = Server(
    "engine",
    _policyengine,
    "/readyz",
    "/access/v1/evaluation",
    bodies.authzen,
    "/access/v1/evaluations",
    bodies.authzen_batch,
    bodies.read_authzen,
    env=PATIENT,
)
FLOOR = Server(
    "floor",
    _uvicorn("bench.servers.floor_app:app"),
    "/",
    "/access/v1/evaluation",
    bodies.authzen,
    "/access/v1/evaluations",
    bodies.authzen_batch,
)
FASTAPI = Server(
    "fastapi", _uvicorn("bench.servers.fastapi_app:app"), "/ready", "/access/v1/evaluation", bodies.authzen
)
OPA_SERVER = Server(
    "opa",
    _opa,
    "/health",
    "/v1/data/documents/allow",
    bodies.opa,
    "/v1/data/documents/batch",
    bodies.opa_batch,
    bodies.read_opa,
    OPA,
)
CERBOS_SERVER = Server(
    "cerbos", _cerbos, "/_cerbos/health", "/api/check/resources", bodies.cerbos, read=bodies.read_cerbos, binary=CERBOS
)

OURS = (FLOOR, ENGINE, FASTAPI)
PEERS = (OPA_SERVER, CERBOS_SERVER)
