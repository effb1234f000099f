"""A peer's process: `python -m bench.peers.runner MODULE DISTRIBUTION`, one JSON value per line in and out.

| in | out |
|---|---|
| a workload | `{"version": ..., "decisions": [...], "load_s": ...}`, for the first `calls` requests |
| `"pass"` | `{"calls": ..., "mean": ..., "p50": ..., "p99": ...}` |

Any failure is answered with `{"error": ...}`. How many requests a pass has follows from how long one takes.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from dataclasses import asdict
from importlib.metadata import version
from typing import Any, TextIO

from bench.measure import Local, one_argument

FEWEST = 5
PROBES = 2


def main(module: str, distribution: str) -> None:
    answers = _own_stdout()
    peer = importlib.import_module(f"bench.peers.{module}")
    subject: Local | None = None
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            if asked == "pass":
                assert subject is not None
                answer: dict[str, Any] = asdict(subject.run())
            else:
                start = time.perf_counter()
                decide, requests = peer.prepare(asked)
                loaded = time.perf_counter() - start
                requests = requests[: _calls(decide, requests, asked["seconds"])]
                decisions = [decide(request) for request in requests]
                subject = one_argument("", decide, requests)
                answer = {"version": version(distribution), "decisions": decisions, "load_s": loaded}
        except Exception as error:  # noqa: BLE001 - whatever goes wrong is the answer
            answer = {"error": f"{type(error).__name__}: {error}"[:300]}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _calls(decide: Any, requests: Any, seconds: float) -> int:
    """As many as fit into a third of the time, so that there is more than one pass."""
    start = time.perf_counter()
    for request in requests[:PROBES]:
        decide(request)
    each = (time.perf_counter() - start) / PROBES
    return max(FEWEST, int(seconds / 3 / each))


def _own_stdout() -> TextIO:
    """The stream for answers. What a library prints goes to stderr."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


if __name__ == "__main__":
    main(*sys.argv[1:])
