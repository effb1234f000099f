"""What a gateway in front of an MCP server costs a call over standard streams.

    python -m bench.mcp [--calls N] [--rounds N]

One client asks one server for the same calls, of three texts of 200 characters together: directly, through a gateway
that only forwards (the floor, on the same library), and through `policyengine mcp` with rules about where each of the
texts came from. They take turns, round after round; of each subject the median of its best round counts. What a gateway
adds is its median less that of the direct way.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
from mcp import Client
from mcp.client.stdio import StdioServerParameters

from bench.gate_overhead import ANN, ASKED, Texts

HERE = Path(__file__).parent
POLICIES = """module bench
use ai

tool send(to: String, subject: String, body: String) { sends_outside: true, reads_untrusted: false }
permit send: call on Tool::"send" for User when CONDITION
"""


def subjects(policies: Path) -> dict[str, StdioServerParameters]:
    """What is called, by name."""
    server = [sys.executable, str(HERE / "server.py")]
    gateway = ["-m", "policyengine.cli", "mcp", "--policies", str(policies), "-p", json.dumps(ANN), "--", *server]
    return {
        "directly": StdioServerParameters(command=server[0], args=server[1:]),
        "a gateway that only forwards": StdioServerParameters(
            command=sys.executable, args=[str(HERE / "proxy.py"), *server]
        ),
        "policyengine mcp": StdioServerParameters(command=sys.executable, args=gateway),
    }


async def measured(commands: Mapping[str, StdioServerParameters], calls: int, rounds: int) -> dict[str, Any]:
    """By subject: the median and the 99th percentile of its best round, in milliseconds."""
    texts = Texts(1)
    best: dict[str, tuple[float, float]] = {}
    async with AsyncExitStack() as stack:
        clients = {name: await stack.enter_async_context(Client(command)) for name, command in commands.items()}
        for _ in range(rounds):
            asked = [{"to": texts.text(24), "subject": texts.text(60), "body": texts.text(116)} for _ in range(calls)]
            for name, client in clients.items():
                took = []
                for arguments in asked:
                    start = time.perf_counter()
                    answer = await client.call_tool("send", arguments)
                    took.append((time.perf_counter() - start) * 1e3)
                    assert not answer.is_error, answer
                found = statistics.median(took), sorted(took)[len(took) * 99 // 100]
                best[name] = min(best.get(name, found), found)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.mcp", description=__doc__)
    parser.add_argument("--calls", type=int, default=200, help="in a round")
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        policies = Path(folder) / "bench.pol"
        policies.write_text(POLICIES.replace("CONDITION", ASKED["all three arguments"]))
        found = anyio.run(measured, subjects(policies), given.calls, given.rounds)
    (direct, _), (floor, _) = found["directly"], found["a gateway that only forwards"]
    print("| | median | p99 | adds | beside the floor |\n| --- | --- | --- | --- | --- |")
    for name, (median, worst) in found.items():
        adds = "" if name == "directly" else f"{median - direct:.2f} ms"
        ratio = "" if name == "directly" else f"{(median - direct) / (floor - direct):.2f} ×"
        print(f"| {name} | {median:.2f} ms | {worst:.2f} ms | {adds} | {ratio} |")


if __name__ == "__main__":
    main()
