"""A state store that cannot be asked: whoever asks something of it is told so, in one way, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from policyengine.state.store import StoreError
from policyengine.state.stores.memory import Memory
from tests.server.serving import serving

POLICIES = """
use ai
permit tools: call on Tool
limit rate: call on Tool
  at most 5 requests per 1h by principal
"""
ANN = {"type": "User", "id": "ann"}
POSTS = [
    ("/v1/block", {"kind": "tenant", "id": "acme"}),
    ("/v1/unblock", {"kind": "tenant", "id": "acme"}),
    ("/v1/admin/void", {}),
    ("/v1/sessions", {"subject": ANN}),
    ("/v1/results", {"subject": ANN, "session": "s1"}),
    ("/v1/reservations/r1/settle", {}),
    ("/v1/reservations/r1/renew", {}),
    ("/v1/reservations/r1/cancel", {}),
    *((f"/v1/usage/{what}", {"rule": "rate", "amount": 1, "seconds": 1}) for what in ("reset", "credit", "raise")),
]
GETS = ["/v1/blocks", "/v1/usage", "/v1/usage?by=tenant", "/v1/usage/changes"]


def away(*_: Any) -> Any:
    raise StoreError("the pool 'pool-5' is closed")


async def away_async(*_: Any) -> Any:
    away()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A service whose store goes away once it has started."""
    folder: Path = tmp_path_factory.mktemp("away")
    (folder / "policy.pol").write_text(POLICIES, encoding="utf-8")
    with serving(folder) as client, pytest.MonkeyPatch.context() as patch:
        patch.setattr(Memory, "run", away)
        patch.setattr(Memory, "run_async", away_async)
        patch.setattr(Memory, "survey", away)
        yield client


@pytest.mark.parametrize(("path", "body"), POSTS, ids=lambda value: value if isinstance(value, str) else "")
def test_what_is_posted_is_answered_503(service: httpx.Client, path: str, body: Any) -> None:
    is_told(service.post(path, json=body))


@pytest.mark.parametrize("path", GETS)
def test_what_is_listed_is_answered_503(service: httpx.Client, path: str) -> None:
    is_told(service.get(path))


def test_what_is_authorized_is_denied(service: httpx.Client) -> None:
    tool = {"type": "Tool", "id": "send", "properties": {"args": {}}}
    answer = service.post("/v1/authorize", json={"subject": ANN, "action": {"name": "call"}, "resource": tool})
    assert (answer.status_code, answer.json()["decision"]) == (200, False)


def is_told(answer: httpx.Response) -> None:
    assert answer.status_code == 503, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == "the state store is unavailable"
