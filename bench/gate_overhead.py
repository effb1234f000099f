"""What the gate of an agent's tools takes for a call: deciding it, and finding out where its arguments came from.

    python -m bench.gate_overhead [--trail KB]

Calls of three arguments, 200 characters together, of which some stand in the trail and most are new. Beside the gate
stands `Engine.decide` of the same request. Of each call the best of several rounds counts; the median and the 99th
percentile are over 300 different calls.
"""

from __future__ import annotations

import argparse
import gc
import random
import time
from collections.abc import Callable
from typing import Any

from policyengine import Engine

CALLS, ROUNDS = 300, 15
POLICIES = """
module bench
use ai

tool read() { sends_outside: false, reads_untrusted: true }
tool send(to: String, subject: String, body: String) { sends_outside: true, reads_untrusted: false }
permit read: call on Tool::"read" for User
permit send: call on Tool::"send" for User when CONDITION
"""
ASKED = {
    "all three arguments": " and ".join(
        f'not ("x" in sources(tool.args.{name}))' for name in ("to", "subject", "body")
    ),
    "one of them": 'not ("x" in sources(tool.args.to))',
    "none": 'tool.args.to != "nobody"',
}
ANN = {"type": "User", "id": "ann", "tenant": "acme", "roles": []}


class Texts:
    """Prose of a vocabulary of 3,000 words, with numbers, addresses and identifiers in it."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.words = ["".join(self.rng.choice("bcdfglmnprst") + self.rng.choice("aeiou") for _ in range(n % 4 + 1))
                      for n in range(3_000)]  # fmt: skip

    def text(self, size: int) -> str:
        parts: list[str] = []
        while sum(map(len, parts)) + len(parts) < size:
            word = self.rng.choice(self.words)
            kind = self.rng.random()
            if kind < 0.04:
                word = f"{word}@{self.rng.choice(self.words)}.com"
            elif kind < 0.12:
                word = f"{word}-{self.rng.randrange(1000)}"
            parts.append(word)
        return " ".join(parts)[:size]


def measured(calls: list[dict[str, Any]], run: Callable[[dict[str, Any]], Any]) -> tuple[float, float]:
    """The median and the 99th percentile, in microseconds."""
    best = [float("inf")] * len(calls)
    gc.disable()
    for _ in range(ROUNDS):
        for number, call in enumerate(calls):
            start = time.perf_counter()
            run(call)
            best[number] = min(best[number], time.perf_counter() - start)
    gc.enable()
    best.sort()
    return best[len(best) // 2] * 1e6, best[len(best) * 99 // 100] * 1e6


def figures(condition: str, trail: int, seed: int = 1) -> list[tuple[str, float, float]]:
    engine = Engine.from_text(POLICIES.replace("CONDITION", condition))
    texts = Texts(seed)
    session = engine.session(principal=ANN, prompt="Answer bob@acme.com about invoice X-17.")
    seen = [texts.text(2_000) for _ in range(trail // 2)]
    for one in seen:
        session.observe(session.call("read", {}), one)
    calls = []
    for number in range(CALLS):
        args = {"to": texts.text(24), "subject": texts.text(60), "body": texts.text(116)}
        if seen and number % 4 == 0:
            at = texts.rng.randrange(1_800)
            args["body"] = texts.rng.choice(seen)[at : at + 116]
        calls.append(args)

    def decide(args: dict[str, Any]) -> Any:
        resource = {"type": "Tool", "id": "send", "args": args}
        return engine.decide(principal=ANN, action="call", resource=resource, context={"provenance": {"to": ["user"]}})

    return [
        ("the gate", *measured(calls, lambda args: session.call("send", args))),
        ("sources alone", *measured(calls, session.trail.provenance)),
        ("Engine.decide", *measured(calls, decide)),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trail", type=int, default=100, metavar="KB", help="how much the session has seen")
    given = parser.parse_args()
    for title, condition in ASKED.items():
        print(f"rules ask for the sources of {title}, a trail of {given.trail} kB")
        for name, median, worst in figures(condition, given.trail):
            print(f"  {name:<16} median {median:7.1f} us   p99 {worst:7.1f} us")


if __name__ == "__main__":
    main()
