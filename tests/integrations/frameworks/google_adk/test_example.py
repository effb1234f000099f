"""The example does what its user asked for, and not what a page said."""

from __future__ import annotations

import asyncio

import pytest

from tests.integrations.agents.examples import SCRIPT, example, held
from tests.integrations.agents.world import Ran
from tests.integrations.frameworks.google_adk.host import Scripted


def test_the_task_is_done_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    of = example("google_adk", monkeypatch)
    assert held(of, asyncio.run(of.run(Scripted(model="m", steps=enumerate(SCRIPT), ran=Ran()))))
