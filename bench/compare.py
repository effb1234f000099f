"""`python bench/compare.py OLD NEW`: what changed between two results of the bench.

Figures of different runs compare only as ratios to what stood beside them, so ratios are compared, and plain values
only where there is no ratio. A change below the threshold is noise until shown otherwise.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

Key = tuple[str, str, str]
FACTS = ("cpu", "cores", "python", "revision", "modified", "load", "packages")


@dataclass(frozen=True, slots=True)
class Change:
    """`factor` is how many times as good the new figure is: below 1 it is worse. None where one side has no figure."""

    key: Key
    old: float | None
    new: float | None
    factor: float | None

    def verdict(self, threshold: float) -> str:
        if self.factor is None:
            return "only new" if self.old is None else "gone"
        if abs(self.factor - 1) <= threshold:
            return "same"
        return "better" if self.factor > 1 else "worse"


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """Every figure of either, in the order of the new one. The arguments are results as they are in the files."""
    before, after = _figures(old), _figures(new)
    changes = []
    for key in [*after, *(key for key in before if key not in after)]:
        one, other = before.get(key), after.get(key)
        factor = None
        if one is not None and other is not None and min(one[0], other[0]) > 0:
            factor = other[0] / one[0] if other[1] else one[0] / other[0]
        changes.append(Change(key, one and one[0], other and other[0], factor))
    return changes


def _figures(results: Mapping[str, Any]) -> dict[Key, tuple[float, bool]]:
    """The ratio or value of each subject, and whether more is better. What is 1 by definition is left out."""
    figures: dict[Key, tuple[float, bool]] = {}
    for row in results["rows"]:
        if row["subject"] == row["to"]:
            continue
        figure = row["value"] if row["ratio"] is None else row["ratio"]
        figures[row["workload"], row["case"], row["subject"]] = figure, row["unit"].endswith("/s")
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(prog="compare.py", description="what changed between two results of the bench")
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--threshold", type=float, default=0.1, help="the share below which a change is noise (0.1)")
    parser.add_argument("--all", action="store_true", help="show what is the same, too")
    arguments = parser.parse_args()
    old, new = (json.loads(path.read_text(encoding="utf-8")) for path in (arguments.old, arguments.new))
    console = Console()
    for fact in FACTS:
        one, other = old["machine"].get(fact), new["machine"].get(fact)
        console.print(f"{fact}: {one}" if one == other else f"{fact}: {one} → {other}", style="dim", highlight=False)
    for peer in sorted({*old["peers"], *new["peers"]}):
        one, other = old["peers"].get(peer), new["peers"].get(peer)
        if one != other:
            console.print(f"{peer}: {one} → {other}", style="dim", highlight=False)
    changes = compare(old, new)
    console.print(_table(changes, arguments.threshold, arguments.all))
    same = sum(change.verdict(arguments.threshold) == "same" for change in changes)
    console.print(f"{same} of {len(changes)} figures are within {arguments.threshold:.0%}")


def _table(changes: list[Change], threshold: float, everything: bool) -> Table:
    styles = {"better": "green", "worse": "red", "same": "dim"}
    table = Table("workload", "case", "subject", box=None, header_style="bold")
    for name in ("old", "new", "times as good"):
        table.add_column(name, justify="right")
    table.add_column("")
    for change in changes:
        verdict = change.verdict(threshold)
        if verdict != "same" or everything:
            figures = [_shown(change.old), _shown(change.new), _shown(change.factor)]
            table.add_row(*change.key, *figures, verdict, style=styles.get(verdict))
    return table


def _shown(figure: float | None) -> str:
    return "" if figure is None else f"{figure:,.3g}" if figure < 1000 else f"{figure:,.0f}"


if __name__ == "__main__":
    main()
