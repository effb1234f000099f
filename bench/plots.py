"""Results as pictures: one PNG for each workload, axes that grow by factors wherever the figures do."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, log10
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter

from bench.report import TITLES, nanoseconds, rounded
from bench.results import Results, Row
from bench.workloads import hostile

mpl.use("Agg")

INK, ENGINE, FLOOR = "#222222", "#c2410c", "#9ca3af"
# The same subject has the same colour in every picture.
COLORS = {
    "vakt": "#1d4ed8",
    "cel-expr-python": "#0f766e",
    "cedarpy": "#7c3aed",
    "opa-golib": "#a16207",
    "opa": "#a16207",
    "regopy": "#be185d",
    "casbin": "#0891b2",
    "oso": "#4d7c0f",
    "cerbos": "#1d4ed8",
}
OTHER = "#57534e"
STYLE: Any = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.edgecolor": "#888888",
    "axes.titlesize": 11,
    "figure.constrained_layout.use": True,
    "legend.frameon": False,
}


def draw(results: Results, folder: Path) -> list[Path]:
    """The files that were written."""
    folder.mkdir(parents=True, exist_ok=True)
    drawings = {
        "w1": _bars,
        "w2": _growth,
        "w3": _bars,
        "actors": _bars,
        "faults": _bars,
        "mentions": _bars,
        "residual": _bars,
        "postgresql": _bars,
        "oopsla": _growth,
        "load": _bars,
        "http": _bars,
        "hostile": _waits,
        "vectors": _bars,
    }
    written = []
    with plt.rc_context(STYLE):
        for workload, drawing in drawings.items():
            rows = results.of(workload)
            if not rows:
                continue
            figure = drawing(rows)
            figure.suptitle(TITLES[workload], x=0.01, ha="left", fontweight="bold", color=INK)
            path = folder / f"{workload}.png"
            figure.savefig(path, dpi=130)
            plt.close(figure)
            written.append(path)
    return written


def _color(subject: str) -> str:
    """The engine and the floor look the same everywhere."""
    if subject.startswith("engine"):
        return ENGINE
    return FLOOR if subject == "floor" else COLORS.get(subject, OTHER)


def _bars(rows: Sequence[Row]) -> Any:
    """One panel for each case, one bar for each subject: the figure as its length, and the ratio written beside it."""
    rows = [row for row in rows if row.unit != "MiB"]
    cases = list(dict.fromkeys(row.case for row in rows))
    across = 3 if len(cases) > 2 else len(cases)
    down = -(-len(cases) // across)
    tallest = max(sum(row.case == case for row in rows) for case in cases)
    figure, axes = plt.subplots(
        down, across, figsize=(4.6 * across, down * (0.9 + 0.36 * tallest) + 0.3), squeeze=False
    )
    for axis, case in zip(axes.flat, cases, strict=False):
        _bar_panel(axis, case, [row for row in rows if row.case == case])
    for axis in list(axes.flat)[len(cases) :]:
        axis.set_visible(False)
    return figure


def _bar_panel(axis: Axes, case: str, rows: Sequence[Row]) -> None:
    subjects = [row.subject for row in rows]
    values = [row.value for row in rows]
    axis.barh(subjects, values, color=[_color(one) for one in subjects], height=0.66)
    axis.invert_yaxis()
    if max(values) / min(values) > 20:
        axis.set_xscale("log")
        axis.set_xlim(min(values) / 3, max(values) * 12)
    else:
        axis.set_xlim(0, max(values) * 1.35)
    for place, row in enumerate(rows):
        shown = nanoseconds(row.value) if row.unit == "ns/decision" else rounded(row.value)
        ratio = f"  ({rounded(row.ratio)}×)" if row.ratio is not None and row.subject != row.to else ""
        axis.annotate(f" {shown}{ratio}", (row.value, place), va="center", fontsize=8, color=INK)
    axis.set_title(case)
    unit = rows[0].unit
    axis.set_xlabel("time for one decision" if unit == "ns/decision" else unit)
    shown_at_ticks = nanoseconds if unit == "ns/decision" else rounded
    axis.xaxis.set_major_formatter(FuncFormatter(lambda figure, _: shown_at_ticks(figure)))
    if axis.get_xscale() == "linear":
        axis.locator_params(axis="x", nbins=5)
    axis.tick_params(axis="y", length=0)
    axis.tick_params(axis="x", labelsize=8)


def _waits(rows: Sequence[Row]) -> Any:
    """One bar for each kind of hostile request, and the line that none may pass."""
    figure, axis = plt.subplots(figsize=(8.0, 0.9 + 0.3 * len(rows)))
    axis.barh([row.case for row in rows], [row.value for row in rows], color=ENGINE, height=0.66)
    axis.axvline(hostile.MOST_MS, color=INK, linewidth=1)
    axis.invert_yaxis()
    for place, row in enumerate(rows):
        axis.annotate(f" {rounded(row.value)}", (row.value, place), va="center", fontsize=8, color=INK)
    axis.set_xlabel("milliseconds that 99 in 100 plain requests wait at most")
    axis.tick_params(axis="y", length=0, labelsize=8)
    return figure


def _growth(rows: Sequence[Row]) -> Any:
    """One panel for each family of cases (`name N=10`), time over N, one line for each subject."""
    rows = [row for row in rows if " N=" in row.case]
    families = list(dict.fromkeys(row.case.split(" N=")[0] for row in rows))
    subjects = list(dict.fromkeys(row.subject for row in rows))
    least, most = min(row.value for row in rows), max(row.value for row in rows)
    figure, axes = plt.subplots(1, len(families), figsize=(4.6 * len(families), 4.6), squeeze=False, sharey=True)
    for axis, family in zip(axes.flat, families, strict=True):
        mine = [row for row in rows if row.case.split(" N=")[0] == family]
        for subject in subjects:
            points = [(int(row.case.split(" N=")[1]), row.value) for row in mine if row.subject == subject]
            wide = 2.4 if subject.startswith("engine") else 1.2
            axis.plot(
                [n for n, _ in points],
                [time for _, time in points],
                marker="o",
                markersize=3.5,
                linewidth=wide,
                label=subject,
                color=_color(subject),
            )
        sizes = sorted({int(row.case.split(" N=")[1]) for row in mine})
        if sizes[0] == 0:
            axis.set_xscale("symlog", linthresh=10)
        axis.set_xticks(sizes, [f"{size:,}" for size in sizes])
        axis.minorticks_off()
        axis.set_yscale("log")
        axis.set_ylim(10 ** floor(log10(least)), 10 ** ceil(log10(most)))
        axis.yaxis.set_minor_formatter(NullFormatter())
        axis.set_title(family)
        axis.set_xlabel("N")
        axis.yaxis.set_major_formatter(FuncFormatter(lambda time, _: nanoseconds(time)))
        axis.grid(axis="y", color="#e5e7eb", linewidth=0.8)
    axes[0, 0].set_ylabel("time for one decision")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center")
    return figure
