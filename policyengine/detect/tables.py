"""The tables of detectors: CSV files beside the code that reads them."""

from __future__ import annotations

import csv
from pathlib import Path


def table_rows(path: Path) -> list[list[str]]:
    """The rows of a table, below the one that names the columns."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))[1:]
