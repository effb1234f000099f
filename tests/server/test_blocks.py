"""The kill switch over HTTP: every way of asking is stopped, on every worker, and only administrators may."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.blocks.test_blocks import POLICIES
from tests.server.serving import EVALUATION, EVALUATIONS, SEARCH_RESOURCE, serving
from tests.state.test_blocks import eventually
from tests.support.key_file import Store

ANN = {"type": "User", "id": "ann", "properties": {"tenant": "acme"}}
ASKED: dict[str, Any] = {
    "subject": ANN,
    "action": {"name": "call"},
    "resource": {"type": "Tool", "id": "send", "properties": {"args": {}}},
}


BROWSE = {**ASKED, "resource": {"type": "Tool", "id": "browse", "properties": {"args": {}}}}
SESSIONS = """
module m
use ai
permit tools: call on Tool
label saw_web: call on Tool::"browse"
"""


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


def test_an_administrator_of_no_tenant_voids_what_is_from_before(tmp_path: Path) -> None:
    (tmp_path / "policy.pol").write_text(SESSIONS, encoding="utf-8")
    store = Store(tmp_path / "keys")
    keys = {
        "admin": store.new("admin"),
        "of acme": store.new("admin", tenant="acme"),
        "gateway": store.new("authorize"),
    }
    headers = {name: {"Authorization": f"Bearer {key.text}"} for name, key in keys.items()}
    settings = {"state": f"sqlite:///{tmp_path}/state.db", "keys": store.settings}
    with serving(tmp_path, **settings) as one, serving(tmp_path, **settings) as other:

        def ask(client: httpx.Client, path: str, body: Any, who: str = "gateway") -> httpx.Response:
            return client.post(path, json=body, headers=headers[who])

        def allows(client: httpx.Client, session: str) -> bool:
            found: bool = ask(client, "/v1/authorize", {**BROWSE, "session": session}).json()["decision"]
            return found

        before = ask(one, "/v1/sessions", {"subject": ANN}).json()["session"]
        assert allows(other, before)
        for who, body, status in (("gateway", {}, 403), ("of acme", {}, 403), ("admin", {"who": "me"}, 400)):
            assert ask(one, "/v1/admin/void", body, who).status_code == status
        assert ask(one, "/v1/admin/void", {"why": 5}, "admin").status_code == 400
        assert allows(one, before)
        told = ask(one, "/v1/admin/void", {"why": "restored"}, "admin").json()
        assert not allows(one, before)
        eventually(lambda: not allows(other, before))
        assert allows(one, ask(other, "/v1/sessions", {"subject": ANN}).json()["session"])
        assert told["before"] > 1.7e9
        # There need be nothing to say.
        assert one.post("/v1/admin/void", headers=headers["admin"]).status_code == 200
