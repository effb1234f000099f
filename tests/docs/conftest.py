"""What the documents' blocks run against: one workspace per document, one real server per set of policies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import pytest

from tests.docs.workspace import Workspace
from tests.support.paths import ROOT
from tests.support.server import running


@pytest.fixture(scope="session")
def workspace_of(tmp_path_factory: pytest.TempPathFactory, warm: Path) -> Callable[[str], Workspace]:
    """The workspace of a document, made on first use."""

    @cache
    def workspace(document: str) -> Workspace:
        return Workspace(document, tmp_path_factory.mktemp("document"), warm)

    return workspace


@pytest.fixture(scope="session")
def address_of() -> Iterator[Callable[[str], str]]:
    """The address of a server for a directory of policies, started on first use."""
    with ExitStack() as servers:

        @cache
        def address(policies: str) -> str:
            return servers.enter_context(running(ROOT / policies)).url

        yield address
