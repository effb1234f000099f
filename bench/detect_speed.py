"""How fast the finders are, and how often they find something in ordinary prose and code.

    python -m bench.detect_speed [--corpus DIR ...]

Without data: the documents and sources of Python's standard library, base64, hexadecimal and random bytes, and a text
full of findings. `--corpus` adds the text files below a directory.
"""

from __future__ import annotations

import argparse
import base64
import os
import pydoc_data.topics
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from policyengine import Engine
from policyengine.detect import Vocabulary, find, registry
from policyengine.detect.content import canary, leakage
from policyengine.detect.registry import ORDINARY
from policyengine.release.inspection import Inspection

PART = 1_000_000
ROUNDS = 5


def best(call: Callable[[], Any], rounds: int = ROUNDS) -> float:
    """Seconds of one core: whatever else the machine does takes none of them."""
    times = []
    for _ in range(rounds):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return min(times)


def sources() -> str:
    """The standard library, without its tests."""
    root = Path(os.__file__).parent
    files = [p for p in sorted(root.rglob("*.py")) if not {"site-packages", "test", "tests"} & set(p.parts)]
    return "".join(file.read_text(encoding="utf-8", errors="replace") for file in files)


def corpora(folders: list[Path]) -> dict[str, str]:
    rng = random.Random(1)
    raw = rng.randbytes(PART)
    english = "".join(pydoc_data.topics.topics.values())
    return {
        "English": english,
        "code": sources(),
        "base64": base64.b64encode(raw).decode()[:PART],
        "hexadecimal": raw.hex()[:PART],
        "random bytes": raw.decode("latin-1"),
        "10,000 findings": "".join(f"row {i}: ann{i}@example.com, {rng.randbytes(40).hex()}\n" for i in range(10_000)),
        **{str(folder): _files(folder) for folder in folders},
    }


def _files(folder: Path) -> str:
    kept = (p for p in sorted(folder.rglob("*")) if p.is_file() and p.suffix in {".txt", ".md", ".rst", ".py", ".html"})
    return "".join(file.read_text(encoding="utf-8", errors="replace") for file in kept)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.detect_speed", description=__doc__)
    parser.add_argument("--corpus", type=Path, action="append", default=[], metavar="DIR")
    parser.add_argument("--each", action="store_true", help="each finder by itself")
    parser.add_argument("--list", action="store_true", help="what was found, and what stands before it")
    given = parser.parse_args()
    words = Vocabulary(canaries=(canary.mint(random.Random(3).randbytes(32)),))
    known = registry(words)
    everything = known.kinds - ORDINARY
    for name, text in corpora(given.corpus).items():
        parts = [text[at : at + PART] for at in range(0, len(text), 4 * PART)] or [text]
        size = sum(map(len, parts))
        secrets = sum(best(lambda part=part: find(part, {"secret"}, known)) for part in parts)
        every = sum(best(lambda part=part: find(part, everything, known)) for part in parts)
        found = Counter(f.kind.partition(".")[0] for part in parts for f in find(part, everything, known))
        often = ", ".join(f"{kind} {count / size * 1e5:.2f}" for kind, count in found.most_common())
        print(
            f"{name:18} {size / 1e6:5.1f} MB  secrets {size / secrets / 1e6:6.1f} MB/s  all {size / every / 1e6:6.1f} MB/s"
        )
        print(f"{'':18} found in 100 kB: {often or 'nothing'}")
        if given.list:
            for part in parts:
                for one in find(part, everything, known):
                    before = part[max(0, one.start - 30) : one.start]
                    print(f"{'':20} {one.kind:24} {part[one.start : one.end][:60]!r} after {before!r}")
        if given.each:
            for finder in known.finders:
                seconds = sum(best(lambda part=part, finder=finder: finder.find(part)) for part in parts)
                print(f"{'':20} {finder.name:16} {size / seconds / 1e6:9.1f} MB/s")
    _streams(known, everything)
    _linear(registry(Vocabulary(fingerprints=leakage.fingerprint("one two three four five six seven eight nine"))))


def _streams(known: Any, everything: frozenset[str]) -> None:
    """What a chunk of 20 characters of English costs, beside handing the chunks on."""
    english = "".join(pydoc_data.topics.topics.values())[:400_000]
    chunks = [english[at : at + 20] for at in range(0, len(english), 20)]
    for name, kinds in (("email, secret, iban", ("email", "secret", "iban")), ("every kind", sorted(everything))):
        named = ", ".join(f'"{kind}"' for kind in sorted({kind.partition(".")[0] for kind in kinds}))
        rules = f"module m use ai permit p: release on Output for User require r: release on Output redact([{named}])"
        engine = Engine.from_text(rules, inspection=Inspection(finders=known))
        ann = {"type": "User", "id": "ann", "tenant": "t", "roles": []}

        def run(engine: Any = engine, ann: Any = ann) -> None:
            for _ in engine.release_stream(chunks, principal=ann, output={}):
                pass

        print(f"a stream in chunks of 20 characters, {name}: {best(run) / len(chunks) * 1e6:.1f} us a chunk")


def _linear(known: Any) -> None:
    for count in (2_500, 5_000, 10_000):
        text = "".join(f"row {i}: ann{i}@example.com {'x' * 60} +1 415 555 {i % 10_000:04}\n" for i in range(count))
        seconds = best(lambda text=text: find(text, known.kinds, known))
        print(f"{count:6} rows with findings, {len(text) / 1e6:.2f} MB: {seconds * 1e3:7.1f} ms")


if __name__ == "__main__":
    main()
