"""What every shop starts its processes with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mcp.shop import Shop


@pytest.fixture(scope="session", autouse=True)
def warm_shops(warm: Path) -> None:
    """Gateways that are children, and the servers behind any gateway, are forks; a gateway that serves HTTP is told to
    end by a signal, and is a process of its own."""
    Shop.warm = warm
