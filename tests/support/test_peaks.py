"""A worker that takes more memory than it may fails the run, where there are many."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

# A worker takes some tens of megabytes, whatever its tests do.
FEW, PLENTY = 1 << 20, 1 << 40


@pytest.mark.parametrize(("most", "many", "status"), [(PLENTY, 2, 0), (FEW, 3, 0), (FEW, 2, 1)])
def test_one_of_many_workers_that_takes_too_much_fails_the_run(
    tmp_path: Path, most: int, many: int, status: int
) -> None:
    (tmp_path / "conftest.py").write_text(
        "from tests.support.peaks import Peaks\n"
        f"def pytest_configure(config): config.pluginmanager.register(Peaks({most}, {many}))\n",
        encoding="utf-8",
    )
    (tmp_path / "test_nothing.py").write_text("def test_nothing(): pass\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "xdist", "-n", "2", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert "memory of the workers: " in done.stdout
    assert "1 passed" in done.stdout
    assert ("a worker may take 0.00 GiB" in done.stdout) is (status == 1)
