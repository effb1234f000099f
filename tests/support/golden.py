"""Golden files: expected output kept in the tree, rewritten by `make golden` (UPDATE_GOLDEN=1)."""

from __future__ import annotations

import os
from pathlib import Path


def assert_golden(path: Path, actual: str) -> None:
    """Assert that `path` holds exactly `actual`; with UPDATE_GOLDEN=1, write it instead."""
    if os.environ.get("UPDATE_GOLDEN") == "1":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(actual, encoding="utf-8")
        return
    assert path.exists(), f"{path} does not exist; write it with `make golden`"
    assert actual == path.read_text(encoding="utf-8"), f"{path} differs; see `make golden`"
