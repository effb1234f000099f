"""The clock of the host and of the store, where a test sets it."""

from __future__ import annotations

import pytest


class Clock:
    """Microseconds since 1970."""

    def __init__(self) -> None:
        self.now = 1_800_000_000_000_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for room in ("authorize", "fast_authorize"):
        monkeypatch.setattr(f"policyengine.state.{room}.time_ns", lambda: clock.now * 1_000)
    return clock
