"""An agent behind a proxy with the gate of the example does what its user asked for, and not what a page said."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

from tests.integrations.agents.examples import SCRIPT, example, held
from tests.integrations.agents.world import Asks, Tools
from tests.integrations.frameworks.litellm import host


def test_the_task_is_done_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    of = example("litellm", monkeypatch)
    bank: Any = import_module("bank")

    class Bank(Tools):
        def functions(self) -> list[Any]:
            async def read_web(url: str) -> str:
                return str(bank.read_web(url))

            async def send_money(recipient: str, amount: float) -> str:
                return str(bank.send_money(recipient, amount))

            return [read_web, send_money]

    monkeypatch.setattr(host, "PolicyProxy", lambda *_, **__: of.gate)
    ran = host.run(Asks(of.ENGINE, SCRIPT, Bank(), bank.PROMPT))
    assert ran.error is None
    assert held(bank, str(ran.final))
