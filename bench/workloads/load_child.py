"""A fresh process that loads a bundle: `python -m bench.workloads.load_child BUNDLE [FILE TEXT_FILE]`.

Prints one JSON object: seconds from the call of `Engine.load` to the first decision, peak memory in MiB, and, where a
file and its new text are given, seconds from writing that file to the first decision of the reloaded engine.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

from bench.workloads.bundle import REQUEST
from policyengine import Engine


def main(bundle: str, changed: str = "", text: str = "") -> None:
    start = time.perf_counter()
    engine = Engine.load(bundle, pause_gc=True)
    engine.decide(**REQUEST)  # type: ignore[arg-type]
    answer = {"first_decision_s": time.perf_counter() - start, "peak_mib": _peak()}
    if changed:
        new = Path(text).read_text(encoding="utf-8")
        before = engine.revision
        start = time.perf_counter()
        Path(changed).write_text(new, encoding="utf-8")
        result = engine.reload()
        engine.decide(**REQUEST)  # type: ignore[arg-type]
        answer["reload_s"] = time.perf_counter() - start
        assert result.ok, "the changed bundle has errors"
        assert engine.revision != before, "nothing was reloaded"
    print(json.dumps(answer))


def _peak() -> float:
    """The most memory this process has had, in MiB. Where it can, it asks for that of the program alone: what
    `getrusage` says includes what the process that started it had."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 2**10
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 2**20 if sys.platform == "darwin" else most / 2**10


if __name__ == "__main__":
    main(*sys.argv[1:])
