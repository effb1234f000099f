"""What the finders find in labelled texts, beside Presidio's pattern recognisers and detect-secrets, in one run.

    python -m bench.detect_quality --texts texts.jsonl.gz --secrets samples.jsonl.gz

`--texts`: an object a line, with `text` and `spans` (`type`, `start`, `end`). `--secrets`: an object a line, with
`text` and `secret`, and `start` and `end` where it is one. The data is not a part of the project. A label counts as found if a
finding of its type overlaps it; a finding that overlaps no label of its type is a false one. Peers that are not
installed are listed as absent.
"""

from __future__ import annotations

import argparse
import gzip
import importlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.detect_speed import best
from policyengine.detect import Vocabulary, find, find_many, registry

Span = tuple[int, int]
Finds = Callable[[str], Sequence[Span]]

ROUNDS = 15

# The label, our kind, and the recogniser and entity of Presidio.
TYPES = (
    ("CREDIT_CARD", "credit_card", "CreditCardRecognizer", "CREDIT_CARD"),
    ("PHONE_NUMBER", "phone", "PhoneRecognizer", "PHONE_NUMBER"),
    ("EMAIL_ADDRESS", "email", "EmailRecognizer", "EMAIL_ADDRESS"),
    ("DOMAIN_NAME", "domain", "UrlRecognizer", "URL"),
    ("IBAN_CODE", "iban", "IbanRecognizer", "IBAN_CODE"),
    ("US_SSN", "national_id.us_ssn", "UsSsnRecognizer", "US_SSN"),
    ("IP_ADDRESS", "ip", "IpRecognizer", "IP_ADDRESS"),
    ("US_DRIVER_LICENSE", "national_id.us_driver_license", "UsLicenseRecognizer", "US_DRIVER_LICENSE"),
)


@dataclass(frozen=True, slots=True)
class Score:
    right: int
    false: int
    missed: int

    @property
    def recall(self) -> float:
        return self.right / max(1, self.right + self.missed)

    @property
    def precision(self) -> float:
        return self.right / max(1, self.right + self.false)

    @property
    def f2(self) -> float:
        both = 4 * self.precision + self.recall
        return 5 * self.precision * self.recall / both if both else 0.0

    def __add__(self, other: Score) -> Score:
        return Score(self.right + other.right, self.false + other.false, self.missed + other.missed)


def score(found: Iterable[Span], labels: Sequence[Span]) -> Score:
    spans = list(found)
    missed = sum(not any(_overlap(label, span) for span in spans) for label in labels)
    false = sum(not any(_overlap(label, span) for label in labels) for span in spans)
    return Score(len(labels) - missed, false, missed)


def _overlap(one: Span, other: Span) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def lines(path: Path) -> list[dict[str, Any]]:
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    return [json.loads(line) for line in text.split("\n") if line]


def personal(path: Path) -> None:
    rows = lines(path)
    size = sum(len(row["text"]) for row in rows)
    known = registry(Vocabulary())
    print(
        f"{'type':18} {'ours: recall':>13} {'precision':>9} {'F2':>6}   {'Presidio: recall':>16} {'precision':>9} {'F2':>6}"
    )
    ours_all, theirs_all = Score(0, 0, 0), Score(0, 0, 0)
    ours_time = theirs_time = 0.0
    for label, kind, recogniser, entity in TYPES:
        labelled = [[(s["start"], s["end"]) for s in row["spans"] if s["type"] == label] for row in rows]
        ours, seconds = _asked(
            lambda text, kind=kind: [(f.start, f.end) for f in find(text, {kind}, known)], rows, labelled
        )
        ours_all, ours_time = ours_all + ours, ours_time + seconds
        shown = f"{label:18} {ours.recall:13.3f} {ours.precision:9.3f} {ours.f2:6.3f}"
        peer = _presidio(recogniser, entity)
        if peer is None:
            print(shown, "  absent: presidio-analyzer is not installed")
            continue
        theirs, seconds = _asked(peer, rows, labelled)
        theirs_all, theirs_time = theirs_all + theirs, theirs_time + seconds
        print(f"{shown}   {theirs.recall:16.3f} {theirs.precision:9.3f} {theirs.f2:6.3f}")
    kinds = frozenset(kind for _, kind, _, _ in TYPES)
    texts = [row["text"] for row in rows]
    one_by_one = best(lambda: [find(text, kinds, known) for text in texts], ROUNDS)
    together = best(lambda: find_many(texts, kinds, known), ROUNDS)
    assert find_many(texts, kinds, known) == [find(text, kinds, known) for text in texts]
    print(f"ours: F2 {ours_all.f2:.3f}, all types at once, {size / len(texts):.0f} characters a text")
    for how, seconds in (("text by text", one_by_one), ("a list of texts", together)):
        beside = f", {theirs_time / seconds:.0f} times as fast as Presidio" if theirs_time else ""
        print(f"{'':6}{how:16} {size / seconds / 1e6:6.2f} MB/s{beside}")
    if theirs_time:
        print(
            f"Presidio: F2 {theirs_all.f2:.3f}, its eight recognisers one after the other, {size / theirs_time / 1e6:.3f} MB/s"
        )


def _asked(finds: Finds, rows: list[dict[str, Any]], labels: list[list[Span]]) -> tuple[Score, float]:
    total = Score(0, 0, 0)
    found = [finds(row["text"]) for row in rows]
    seconds = best(lambda: [finds(row["text"]) for row in rows], ROUNDS)
    for spans, labelled in zip(found, labels, strict=True):
        total += score(spans, labelled)
    return total, seconds


def _presidio(recogniser: str, entity: str) -> Finds | None:
    try:
        module = importlib.import_module("presidio_analyzer.predefined_recognizers")
    except ImportError:
        return None
    one = getattr(module, recogniser)()
    return lambda text: [(r.start, r.end) for r in one.analyze(text, [entity], None) if r.score > 0]


def secrets(path: Path) -> None:
    rows = lines(path)
    known = registry(Vocabulary())
    ours: Finds = lambda text: [(f.start, f.end) for f in find(text, {"secret"}, known)]  # noqa: E731
    for name, finds in (("ours", ours), ("detect-secrets", _detect_secrets())):
        if finds is None:
            print(f"{name}: absent, it is not installed")
            continue
        true = [row for row in rows if row["secret"]]
        none = [row for row in rows if not row["secret"]]
        found = sum(bool(finds(row["text"])) for row in true)
        flagged = sum(bool(finds(row["text"])) for row in none)
        print(
            f"{name:15} recall {found / len(true):.3f}, unflagged {1 - flagged / max(1, len(none)):.3f} of those that are none"
        )


def _detect_secrets() -> Finds | None:
    try:
        scan = importlib.import_module("detect_secrets.core.scan")
        settings = importlib.import_module("detect_secrets.settings")
    except ImportError:
        return None

    def finds(text: str) -> Sequence[Span]:
        with settings.default_settings():
            return [(0, 1) for line in text.splitlines() for _ in scan.scan_line(line)]

    return finds


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.detect_quality", description=__doc__)
    parser.add_argument("--texts", type=Path, help="labelled texts with personal data")
    parser.add_argument("--secrets", type=Path, help="labelled samples of secrets")
    given = parser.parse_args()
    if given.texts:
        personal(given.texts)
    if given.secrets:
        secrets(given.secrets)


if __name__ == "__main__":
    main()
