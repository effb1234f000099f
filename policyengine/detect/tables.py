"""The tables of detectors: CSV files next to the code that reads them."""

from __future__ import annotations

import csv
from pathlib import Path


def table_rows(path: Path) -> list[list[str]]:
    """The rows of a table, below the row with the column names."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))[1:]
