"""What a run yields: rows, each one figure of one subject in one case of one workload."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.measure import Pass

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Row:
    """`value` in `unit`; `ratio` is value over the value of `to`, a subject of the same case in the same run. Of units
    that end in `/s` more is better, of others less. The percentiles are nanoseconds."""

    workload: str
    case: str
    subject: str
    value: float
    unit: str
    ratio: float | None = None
    to: str = ""
    p50: float | None = None
    p99: float | None = None


@dataclass(frozen=True, slots=True)
class Absent:
    """A subject that could not be measured, and why: it is never just left out."""

    workload: str
    case: str
    subject: str
    why: str


@dataclass
class Results:
    rows: list[Row] = field(default_factory=list)
    absent: list[Absent] = field(default_factory=list)
    # Of each peer that took part, its version.
    versions: dict[str, str] = field(default_factory=dict)

    def add(self, other: Results) -> None:
        self.rows += other.rows
        self.absent += other.absent
        self.versions |= other.versions

    def find(self, workload: str, case: str, subject: str) -> Row | None:
        return next((r for r in self.rows if (r.workload, r.case, r.subject) == (workload, case, subject)), None)

    def of(self, workload: str) -> list[Row]:
        return [row for row in self.rows if row.workload == workload]


def rows(workload: str, case: str, passes: Mapping[str, Pass], to: str) -> list[Row]:
    """A row for each subject, with its ratio to the subject `to`."""
    unit = "ns/decision"
    base = passes[to].mean
    return [
        Row(workload, case, name, one.mean, unit, one.mean / base, to, one.p50, one.p99) for name, one in passes.items()
    ]


def save(path: Path, results: Results, machine: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = {
        "format": FORMAT,
        "machine": machine,
        "options": options,
        "peers": results.versions,
        "rows": [asdict(row) for row in results.rows],
        "absent": [asdict(one) for one in results.absent],
    }
    path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def load(path: Path) -> tuple[Results, dict[str, Any]]:
    """The results in a file, and the machine they are from."""
    data = json.loads(path.read_text(encoding="utf-8"))
    if data.get("format") != FORMAT:
        raise ValueError(f"{path}: not the results of this version of the bench")
    return Results(_made(Row, data["rows"]), _made(Absent, data["absent"]), data["peers"]), data["machine"]


def _made(kind: Any, items: Iterable[Mapping[str, Any]]) -> list[Any]:
    return [kind(**item) for item in items]
