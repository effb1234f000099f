"""Servers that several test files share."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.server.serving import serving
from tests.support.paths import ROOT

DATA = ROOT / "tests" / "data" / "authzen"


@pytest.fixture(scope="session")
def certification() -> Iterator[httpx.Client]:
    """A client of a server with the certification fixture, entities included."""
    fixture = DATA / "certification"
    with serving(fixture, entities=fixture / "entities.json") as client:
        yield client


@pytest.fixture(scope="session")
def todo() -> Iterator[httpx.Client]:
    """A client of a server with the starter policies of the Todo scenario."""
    policies = ROOT / "policies" / "authzen_todo"
    with serving(policies, entities=policies / "entities.json") as client:
        yield client


@pytest.fixture(scope="session")
def records() -> Iterator[httpx.Client]:
    """A client of a server with the starter policies of the Search scenario."""
    policies = ROOT / "policies" / "authzen_search"
    with serving(policies, entities=policies / "entities.json") as client:
        yield client
