"""What the workers of a run took of memory at most, in its summary. A run in which one of many took more than it may
fails."""

from __future__ import annotations

import resource
import sys
from collections.abc import Generator
from typing import Any

import pytest

GIB = 1 << 30
# The aim is 1.5 GiB for each worker that `make test` starts on two cores. Which tests a worker gets, and with these
# which libraries, stores and engines, is of the moment: a run fails only where that does not explain it. Fewer workers
# have more of the tests each.
MOST, MANY = 7 * GIB // 4, 3


def _peak() -> int:
    """Bytes that this process had in memory at once, at most."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


class Peaks:
    """A plugin of pytest, for the workers and for the process that they report to."""

    def __init__(self, most: int = MOST, many: int = MANY) -> None:
        self._most, self._many = most, many
        self._peaks: list[int] = []

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
        if output is not None:
            output["peak"] = _peak()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        # One that crashed reports nothing, and fails the run for that.
        self._peaks += [peak for name, peak in getattr(node, "workeroutput", {}).items() if name == "peak"]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        done = yield
        session.testsfailed += self._too_large
        return done

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self._peaks:
            return
        shown = ", ".join(f"{peak / GIB:.2f}" for peak in sorted(self._peaks, reverse=True))
        terminalreporter.write_line(f"memory of the workers: {shown} GiB at most")
        if self._too_large:
            terminalreporter.write_line(f"a worker may take {self._most / GIB:.2f} GiB", red=True)

    @property
    def _too_large(self) -> int:
        return sum(peak > self._most for peak in self._peaks) if len(self._peaks) >= self._many else 0
