"""The kill switch over HTTP: every way of asking is stopped, on every worker, and only administrators may."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.blocks.test_blocks import POLICIES
from tests.server.serving import EVALUATION, EVALUATIONS, SEARCH_RESOURCE, serving
from tests.state.test_blocks import eventually

ANN = {"type": "User", "id": "ann", "properties": {"tenant": "acme"}}
ASKED: dict[str, Any] = {
    "subject": ANN,
    "action": {"name": "call"},
    "resource": {"type": "Tool", "id": "send", "properties": {"args": {}}},
}


def post(client: httpx.Client, path: str, body: Any, status: int = 200) -> Any:
    answer = client.post(path, json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


def decides(client: httpx.Client) -> list[bool]:
    """What each way of asking says."""
    tools = {**ASKED, "resource": {"type": "Tool", "properties": {"args": {}}}}
    return [
        post(client, EVALUATION, ASKED)["decision"],
        post(client, EVALUATIONS, {**ASKED, "evaluations": [{}]})["evaluations"][0]["decision"],
        post(client, "/v1/authorize", ASKED)["decision"],
        bool(post(client, SEARCH_RESOURCE, tools)["results"]),
        post(client, "/v1/filter", tools)["kind"] != "never",
    ]


@pytest.mark.parametrize("evaluation", ["decide", "authorize"])
def test_a_block_stops_every_way_of_asking_on_every_node(tmp_path: Path, evaluation: str) -> None:
    (tmp_path / "policy.pol").write_text(POLICIES, encoding="utf-8")
    shared = {"state": f"sqlite:///{tmp_path}/state.db", "evaluation": evaluation}
    with serving(tmp_path, **shared) as one, serving(tmp_path, **shared) as other:
        assert decides(one) == decides(other) == [True] * 5
        made = post(one, "/v1/block", {"kind": "tenant", "id": "acme", "why": "unpaid", "seconds": 600})["block"]
        assert (made["by"], made["why"]) == ("anonymous:anonymous", "unpaid")
        assert decides(one) == [False] * 5
        eventually(lambda: decides(other) == [False] * 5)
        assert post(other, EVALUATION, ASKED)["context"]["reasons"] == ["the tenant is blocked: unpaid"]
        assert [each["id"] for each in other.get("/v1/blocks").json()["blocks"]] == ["acme"]
        post(other, "/v1/unblock", {"kind": "tenant", "id": "acme"})
        assert decides(other) == [True] * 5
        assert one.get("/v1/blocks").json() == {"blocks": []}


@pytest.mark.parametrize(
    "body",
    [{}, {"kind": "user", "id": "x"}, {"kind": "tenant"}, {"kind": "tenant", "id": 5}, {"kind": "tenant", "id": ""},
     {"kind": "tenant", "id": "x", "seconds": "1"}, {"kind": "tenant", "id": "x", "seconds": True},
     {"kind": "tenant", "id": "x", "seconds": 0}, {"kind": "tenant", "id": "x", "why": 1}],
)  # fmt: skip
def test_what_names_nobody_is_refused(tmp_path: Path, body: Any) -> None:
    (tmp_path / "policy.pol").write_text(POLICIES, encoding="utf-8")
    with serving(tmp_path) as client:
        post(client, "/v1/block", body, status=400)
        assert client.get("/v1/blocks").json() == {"blocks": []}
