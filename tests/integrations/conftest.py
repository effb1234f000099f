"""What every test here starts from."""

from __future__ import annotations

import pytest
import structlog


@pytest.fixture(autouse=True)
def logging_as_it_comes() -> None:
    """A service that ran in this process may have left word that warnings are not to be logged."""
    structlog.reset_defaults()
