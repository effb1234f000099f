"""Callers over HTTP: what it costs to ask who asks, as clients see it. W1 (attribute variant), asked by wrk.

Four servers take turns on one core: one that answers anybody on this machine, one that wants an API key, one that wants
a token, and OPA with its own authentication. A figure is the requests for a second of the core, which on a machine that
does nothing else is what a client sees. It is the median of the rounds; a ratio is the median of the ratios of rounds,
in which one follows the other at once, so that what disturbs one disturbs both.
"""

from __future__ import annotations

import json
import secrets
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from bench.options import Options
from bench.peers.environment import NotInstalled
from bench.results import Absent, Results, Row
from bench.servers import CONFIG, ENGINE, OPA_SERVER, PATIENT, Server, bodies, wrk
from bench.servers.credentials import new_key, new_token
from bench.servers.process import Running
from bench.workloads import documents

NAME = "callers-http"
FLOOR, KEY, TOKEN, PEER = "anybody (--insecure)", "an API key", "a token that was seen before", "OPA with a token"
CONNECTIONS = 16
CASE = f"one evaluation, {CONNECTIONS} connections"
# What is asked for over what, at least.
GOALS = ((KEY, FLOOR, 0.95), (TOKEN, FLOOR, 0.9), (KEY, PEER, 2.3), (TOKEN, PEER, 2.3))


def run(options: Options) -> Results:
    if not wrk.available():
        return Results(absent=[Absent(NAME, CASE, "all", wrk.MISSING)])
    results = Results()
    rounds = 3 if options.quick else 15
    requests = documents.requests(options.seed, options.requests)
    expected = [documents.floor_attribute(*request) for request in requests]
    with tempfile.TemporaryDirectory(prefix="bench-callers-") as directory, ExitStack() as stack:
        home = Path(directory)
        asked = {}
        for server, authorization in _servers(home, options.peers):
            try:
                if server.binary is not None:
                    server.binary.install()
                    results.versions[server.name] = server.binary.package
                running = stack.enter_context(Running(server, home))
                running.wait()
                assert server.read is not None
                answers = running.post(server.single, map(server.one, requests), authorization)
                if [server.read(answer)[0] for answer in answers] != expected:
                    raise RuntimeError("decides otherwise")
                _refuses(running, server, requests[0], authorization)
            except (NotInstalled, RuntimeError) as error:
                results.absent.append(Absent(NAME, CASE, server.name, str(error)))
                continue
            file = wrk.write_bodies(home / f"{len(asked)}.jsonl", map(server.one, requests))
            asked[server.name] = running, file, authorization
        rates: dict[str, list[float]] = {name: [] for name in asked}
        for number in range(rounds):
            # Each comes first as often as last.
            for name in list(asked)[:: 1 if number % 2 else -1]:
                running, file, authorization = asked[name]
                before = running.cpu
                load = wrk.run(running.port, running.server.single, file, CONNECTIONS, 1, authorization)
                after = running.cpu
                told = before is not None and after is not None and after > before
                rates[name].append(load.count / (after - before) if told else load.rate)  # type: ignore[operator]
    for name, found in rates.items():
        over = _ratio(found, rates[FLOOR]) if FLOOR in rates else None
        results.rows.append(Row(NAME, CASE, name, median(found), "requests/s", over, FLOOR))
    for one, other, _ in GOALS:
        if one in rates and other in rates:
            results.rows.append(Row(NAME, CASE, f"{one} / {other}", _ratio(rates[one], rates[other]), "×"))
    return results


def _ratio(one: list[float], other: list[float]) -> float:
    return median(a / b for a, b in zip(one, other, strict=True))


def _refuses(running: Running, server: Server, request: documents.Request, authorization: str) -> None:
    """What asks who asks, refuses whoever does not say so."""
    if not authorization:
        return
    try:
        running.post(server.single, [server.one(request)])
    except RuntimeError:
        return
    raise RuntimeError("answers anybody")


def _servers(home: Path, peers: bool) -> list[tuple[Server, str]]:
    """Each with the header that opens it."""
    policy = home / "documents.pol"
    policy.write_text(documents.policy("attribute"), encoding="utf-8")
    keys, shown = new_key(home, "decide")
    issuer, token = new_token(home, "decide")
    config = home / "issuer.toml"
    config.write_text(
        f"[[issuers]]\nissuer = {json.dumps(issuer.issuer)}\naudiences = {json.dumps(issuer.audiences)}\n"
        f"jwks = {json.dumps(issuer.jwks)}\n",
        encoding="utf-8",
    )
    found = [
        (_ours(FLOOR, policy, "--insecure"), ""),
        (_ours(KEY, policy, "--keys", str(keys.store)), f"Bearer {shown.text}"),
        (_ours(TOKEN, policy, "--config", str(config)), f"Bearer {token}"),
    ]
    if peers:
        secret = secrets.token_hex(32)
        found.append((_opa(secret), f"Bearer {secret}"))
    return found


def _ours(name: str, policy: Path, *words: str) -> Server:
    def command(_: Path, port: int) -> list[str]:
        start = [sys.executable, "-m", "policyengine.cli", "serve", str(policy), "--no-reload", "--quiet"]
        return [*start, *words, "--port", str(port)]

    return Server(name, command, "/healthz", ENGINE.single, bodies.authzen, read=bodies.read_authzen, env=PATIENT)


def _opa(secret: str) -> Server:
    def command(home: Path, port: int) -> list[str]:
        guarded = ["--authentication=token", "--authorization=basic", str(CONFIG / "authz.rego")]
        return ["env", f"BENCH_TOKEN={secret}", *OPA_SERVER.command(home, port), *guarded]

    single, read, binary = OPA_SERVER.single, OPA_SERVER.read, OPA_SERVER.binary
    return Server(PEER, command, OPA_SERVER.ready, single, bodies.opa, read=read, binary=binary)
