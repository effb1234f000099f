"""Load: seconds to the first decision, cold and warm, and after one file of the bundle changed; and peak memory.

Every figure is of a fresh process, of which several are started; the best counts. Cold processes find an empty cache
directory, warm ones that of the cold one. The floor is Python compiling as many hand-written functions.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from bench.options import Options
from bench.peers.environment import ROOT
from bench.results import Results, Row
from bench.workloads import bundle, loops

NAME = "load"
COLD, WARM, RELOAD = "engine, cold", "engine, warm", "engine, one file reloaded"
MEMORY = "engine, peak memory over an empty one"
Answer = Mapping[str, float]


def sizes(options: Options) -> tuple[int, ...]:
    return (100, 1_000) if options.quick else (100, 1_000, 10_000)


def case(rules: int) -> str:
    return f"{rules:,} rules"


def run(options: Options) -> Results:
    results = Results()
    rounds = 1 if options.quick else 3
    with tempfile.TemporaryDirectory(prefix="bench-load-") as directory:
        home = Path(directory)
        empty = min(_empty(home / f"empty-{n}")["peak_mib"] for n in range(2))
        for rules in sizes(options):
            results.rows += _case(rules, rounds, home, empty)
    return results


def _empty(home: Path) -> Answer:
    """A bundle of one rule: what an engine takes before it has anything to do."""
    home.mkdir()
    bundle.write(home, 1)
    return _child(home, home / ".cache")


def _case(rules: int, rounds: int, home: Path, empty: float) -> list[Row]:
    floor, cold, warm = [], [], []
    for number in range(rounds):
        here = home / f"{rules}-{number}"
        here.mkdir()
        files = bundle.write(here, rules)
        cache = home / f"cache-{rules}-{number}"
        floor.append(_compile(rules))
        cold.append(_child(here, cache))
        edited = home / f"edited-{rules}-{number}"
        edited.write_text(bundle.text(0, range(min(rules, bundle.RULES_PER_FILE)), amount=4000), encoding="utf-8")
        warm.append(_child(here, cache, files[0], edited))
    base = min(floor)
    seconds = {
        loops.FLOOR: base,
        COLD: min(one["first_decision_s"] for one in cold),
        WARM: min(one["first_decision_s"] for one in warm),
        RELOAD: min(one["reload_s"] for one in warm),
    }
    memory = max(0.0, min(one["peak_mib"] for one in cold) - empty)
    return [
        *[Row(NAME, case(rules), name, value, "s", value / base, loops.FLOOR) for name, value in seconds.items()],
        Row(NAME, case(rules), MEMORY, memory, "MiB"),
    ]


def _compile(rules: int) -> float:
    text = bundle.python(rules)
    start = time.perf_counter()
    exec(compile(text, "floor.py", "exec"), {})
    return time.perf_counter() - start


def _child(here: Path, cache: Path, *changed: Path) -> Answer:
    cache.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "bench.workloads.load_child", str(here), *map(str, changed)]
    environment = {**os.environ, "HOME": str(cache), "XDG_CACHE_HOME": str(cache)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=600)
    if done.returncode:
        raise RuntimeError(f"load: {done.stderr.strip().splitlines()[-1]}")
    answer: Answer = json.loads(done.stdout)
    return answer
