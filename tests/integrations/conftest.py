"""What every test here starts from."""

from __future__ import annotations

import pytest
import structlog

from tests.integrations.agents.hosts import able


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A scenario runs with the hosts of its module that have the seam it is about."""
    hosts = getattr(metafunc.module, "HOSTS", None)
    if hosts is None or "name" not in metafunc.fixturenames:
        return
    seam = metafunc.definition.get_closest_marker("seam")
    metafunc.parametrize("name", able(hosts, seam.args[0]) if seam is not None else hosts)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where no host of a module has a seam there is no test, and none that is skipped."""
    items[:] = [
        item
        for item in items
        if item.get_closest_marker("seam") is None or isinstance(item.callspec.params.get("name"), str)  # type: ignore[attr-defined]
    ]


@pytest.fixture(autouse=True)
def logging_as_it_comes() -> None:
    """A service that ran in this process may have left word that warnings are not to be logged."""
    structlog.reset_defaults()
