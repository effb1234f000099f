"""Usage over HTTP: whole for administrators, of one tenant for those bound to one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from policyengine.callers.caller import Caller
from policyengine.server.pipeline import Incoming
from tests.server.serving import serving
from tests.state.test_usage import POLICIES


def asked(tenant: str) -> dict[str, Any]:
    ann = {"type": "User", "id": "ann", "properties": {"tenant": tenant}}
    return {"subject": ann, "action": {"name": "invoke"}, "resource": {"type": "Model", "id": "m"}}


async def by_header(incoming: Incoming) -> Caller:
    tenant = incoming.headers.get(b"x-tenant", b"").decode() or None
    return Caller("k", "key", frozenset({"admin", "authorize"}), tenant)


def test_usage_is_told_and_changed_within_the_tenant_of_the_caller(tmp_path: Path) -> None:
    (tmp_path / "p.pol").write_text(POLICIES, encoding="utf-8")
    with serving(tmp_path, authenticate=by_header) as client:
        for tenant in ("acme", "eve", "eve"):
            assert client.post("/v1/authorize", json=asked(tenant)).json()["decision"]
        mine = {"x-tenant": "eve"}

        def rates(path: str, headers: dict[str, str] | None = None) -> list[tuple[str, float]]:
            answer: httpx.Response = client.get(path, headers=headers)
            assert answer.status_code == 200, answer.text
            return [(row["tenant"], row["used"]) for row in answer.json()["usage"] if row["rule"] == "p.rate"]

        assert rates("/v1/usage") == rates("/v1/usage?by=tenant") == [("acme", 1.0), ("eve", 2.0)]
        assert rates("/v1/usage", mine) == rates("/v1/usage?tenant=eve", mine) == [("eve", 2.0)]
        assert client.get("/v1/usage?tenant=acme", headers=mine).status_code == 403
        assert client.get("/v1/usage?day=today").status_code == client.get("/v1/usage?tennant=x").status_code == 400

        def change(what: str, body: dict[str, Any], headers: dict[str, str] | None = None) -> int:
            return client.post(f"/v1/usage/{what}", json=body, headers=headers).status_code

        raise_ = {"rule": "p.rate", "key": ["eve"], "amount": 1, "seconds": 60, "why": "launch"}
        assert change("raise", raise_, {"x-tenant": "acme"}) == 404
        assert not client.post("/v1/authorize", json=asked("eve")).json()["decision"]
        assert change("raise", raise_, mine) == 200
        assert client.post("/v1/authorize", json=asked("eve")).json()["decision"]
        assert change("reset", {"rule": "p.rate", "key": ["eve"]}) == 200
        assert change("credit", {"rule": "p.rate", "key": ["eve"], "amount": "1"}) == 400
        assert change("credit", {"rule": "p.nosuch", "key": ["eve"], "amount": 1}) == 404
        listed = client.get("/v1/usage/changes", headers=mine).json()["changes"]
        assert [(one["what"], one["why"], one["by"]) for one in listed] == [
            ("reset", "", "key:k"), ("raise", "launch", "key:k"),
        ]  # fmt: skip
        assert client.get("/v1/usage/changes", headers={"x-tenant": "acme"}).json() == {"changes": []}
