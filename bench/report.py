"""Results for the eyes: tables on the terminal, and the same as Markdown for README.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.goals import Goal, goals
from bench.results import Results, Row

TITLES = {
    "w1": "W1: four rules, 1,000 requests",
    "w2": "W2: and N rules that cannot apply",
    "w3": "W3: one principal, many documents",
    "actors": "Actors: agents, actions with attributes, approvals",
    "faults": "Faults: requests that lack an attribute, beside the same in order",
    "mentions": "Mentions: the sources of each of 1,000 elements",
    "residual": "Residuals: the policies specialised to one principal",
    "postgresql": "PostgreSQL: a filter beside a condition by hand",
    "vectors": "Vector search: the 10 nearest that one principal may see",
    "oopsla": "OOPSLA: graphs of N entities of each type",
    "load": "Load",
    "http": "HTTP",
    "hostile": "Hostile: what a plain request waits beside the dearest ones, 99 in 100",
}
MET = {True: "met", False: "not met", None: "not measured"}


def show(console: Console, results: Results) -> None:
    for workload, title in TITLES.items():
        rows = results.of(workload)
        if rows:
            console.print(_rows(title, rows))
    if results.absent:
        table = Table("workload", "case", "subject", "why", title="Not measured", box=None, title_justify="left")
        for one in results.absent:
            table.add_row(one.workload, one.case, one.subject, one.why, style="yellow")
        console.print(table)
    table = Table("goal", "bound", "measured", "", title="Goals", box=None, title_justify="left")
    styles = {True: "green", False: "red", None: "dim"}
    for goal in goals(results):
        table.add_row(goal.text, _bound(goal), _measured(goal), MET[goal.met], style=styles[goal.met])
    console.print(table)


def _rows(title: str, rows: Sequence[Row]) -> Table:
    table = Table("case", "subject", title=title, box=None, title_justify="left", header_style="bold")
    for name in ("figure", "ratio", "p50", "p99"):
        table.add_column(name, justify="right")
    last = ""
    for row in rows:
        case = row.case if row.case != last else ""
        last = row.case
        style = "dim" if row.subject == row.to else "bold" if row.subject.startswith("engine") else None
        table.add_row(
            case, row.subject, figure(row), times(row), nanoseconds(row.p50), nanoseconds(row.p99), style=style
        )
    return table


def markdown(results: Results, machine: Mapping[str, Any]) -> str:
    """The goals, the figures of every workload and what is missing."""
    peers = ", ".join(f"{name} {version}" for name, version in results.versions.items())
    parts = [
        _machine(machine),
        f"Peers: {peers}." if peers else "",
        _table(("goal", "bound", "measured", ""), map(_goal, goals(results))),
    ]
    for workload, title in TITLES.items():
        rows = results.of(workload)
        if rows:
            cells: list[tuple[str, ...]] = [
                (r.case, r.subject, figure(r), times(r), nanoseconds(r.p50), nanoseconds(r.p99)) for r in rows
            ]
            table = _table(("case", "subject", "figure", "ratio", "p50", "p99"), cells)
            parts += [f"### {title}", f"![{title}](results/{workload}.png)", table]
    if results.absent:
        cells = [(one.workload, one.case, one.subject, one.why) for one in results.absent]
        parts += ["### Not measured", _table(("workload", "case", "subject", "why"), cells)]
    return "\n\n".join(part for part in parts if part)


def _goal(goal: Goal) -> tuple[str, ...]:
    return goal.text, _bound(goal), _measured(goal), MET[goal.met]


def _machine(machine: Mapping[str, Any]) -> str:
    load = ", ".join(f"{one:.1f}" for one in machine["load"])
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    modified = ", modified" if machine["modified"] else ""
    return (
        f"{machine['cpu']}, {machine['cores']} cores; {machine['system']}; {machine['python']}; {packages}; "
        f"revision {machine['revision'][:12]}{modified}; load {load} at the start; a clock reading costs "
        f"{machine['clock_ns']:.0f} ns, which is in every percentile."
    )


def _table(head: Sequence[str], rows: Any) -> str:
    lines = ["| " + " | ".join(cells).rstrip() + " |" for cells in (head, ["---"] * len(head), *rows)]
    return "\n".join(lines)


def _bound(goal: Goal) -> str:
    return f"{'≤' if goal.at_most else '≥'} {goal.bound:g} {goal.unit}"


def _measured(goal: Goal) -> str:
    return "" if goal.measured is None else f"{rounded(goal.measured)} {goal.unit}"


def figure(row: Row) -> str:
    if row.unit == "ns/decision":
        return nanoseconds(row.value)
    return f"{rounded(row.value)} {row.unit}"


def times(row: Row) -> str:
    return "" if row.ratio is None else f"{rounded(row.ratio)} ×"


def nanoseconds(time: float | None) -> str:
    if time is None:
        return ""
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if time >= size:
            return f"{time / size:.3g} {unit}"
    return f"{time:.0f} ns"


def rounded(figure: float) -> str:
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.3g}"
