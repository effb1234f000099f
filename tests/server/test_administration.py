"""Who may administer is decided by policies, and by whoever writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from policyengine.callers.caller import ANONYMOUS, SCOPES, Caller
from policyengine.server.administration import BUILT_IN, Administration
from policyengine.server.limit import ADMIN_OF, OTHER_ADMIN
from policyengine.settings.loading import WrongSettings
from tests.server.serving import EVALUATION, serving
from tests.support.key_file import Store
from tests.support.paths import ROOT

STARTER = ROOT / "policies" / "admin"
FIXTURE = ROOT / "tests" / "data" / "authzen" / "certification"


def test_the_starter_policies_are_the_built_in_ones() -> None:
    assert (STARTER / "admin.pol").read_bytes() == BUILT_IN.read_bytes()


@pytest.mark.parametrize(
    "action", [*sorted({*ADMIN_OF.values()} - {"approve"}), OTHER_ADMIN, "admin_reload", "admin_keys"]
)
def test_only_an_administrator_of_no_tenant_administers(action: str) -> None:
    decides = Administration(None).decide
    others = frozenset(SCOPES) - {"admin"}
    assert decides(Caller("k", "key", frozenset({"admin"})), action).allowed
    assert decides(ANONYMOUS, action).allowed
    assert not decides(Caller("k", "key", others), action).allowed
    # The limits and the keys of one tenant are seen to within it.
    within = {"admin_usage", "admin_keys"}
    assert decides(Caller("k", "key", frozenset({"admin"}), "acme"), action).allowed == (action in within)
    assert not decides(Caller("k", "key", frozenset({"admin"})), "admin_unheard_of").allowed


def test_others_may_be_given(tmp_path: Path) -> None:
    text = BUILT_IN.read_text().replace('"admin" in principal.scopes', 'principal.id == "nobody"')
    (tmp_path / "admin.pol").write_text(text)
    store = Store(tmp_path / "keys")
    headers = {"Authorization": f"Bearer {store.new('admin').text}"}
    with serving(FIXTURE, keys=store.settings) as client:
        assert client.get("/metrics", headers=headers).status_code == 200
    with serving(FIXTURE, keys=store.settings, admin_policies=tmp_path / "admin.pol") as client:
        assert client.get("/metrics", headers=headers).status_code == 403


RELOAD = "/v1/admin/reload"
ASKED = {
    "subject": {"type": "user", "id": "ann"},
    "action": {"name": "read"},
    "resource": {"type": "record", "id": "r"},
}


def version(effect: str, expected: str) -> str:
    head = "module moving\nentity user\nentity record\naction read on record for user\n"
    case = f'test "t" {{\n  principal user::"a"\n  read on record::"b"\n  expect {expected}\n}}\n'
    return f"{head}{effect} all: read on record\n{case}"


def test_an_administrator_has_the_policies_read_again(tmp_path: Path) -> None:
    policies = tmp_path / "policies" / "moving.pol"
    policies.parent.mkdir()
    policies.write_text(version("permit", "allow"), encoding="utf-8")
    store = Store(tmp_path)
    keys = {
        "admin": store.new("admin", "decide"),
        "other": store.new(*sorted({*SCOPES} - {"admin"})),
        "of acme": store.new("admin", tenant="acme"),
    }
    headers = {name: {"Authorization": f"Bearer {key.text}"} for name, key in keys.items()}
    with serving(policies.parent, keys=store.settings, gate="tests") as client:

        def allowed() -> bool:
            found: bool = client.post(EVALUATION, json=ASKED, headers=headers["admin"]).json()["decision"]
            return found

        first = client.get("/readyz", headers=headers["admin"]).json()["revision"]
        policies.write_text(version("forbid", "deny"), encoding="utf-8")
        for name in ("other", "of acme"):
            assert client.post(RELOAD, headers=headers[name]).status_code == 403
        assert client.post(RELOAD).status_code == 401
        assert client.get(RELOAD, headers=headers["admin"]).status_code == 405
        assert client.post(RELOAD, json={"path": "/"}, headers=headers["admin"]).status_code == 400
        assert allowed()
        loaded = client.post(RELOAD, headers=headers["admin"]).json()
        assert loaded["status"] == "ready"
        assert loaded["revision"] != first
        assert not allowed()
        # What is broken, or fails its tests, changes nothing.
        for text in ("permit ((", version("permit", "deny")):
            policies.write_text(text, encoding="utf-8")
            refused = client.post(RELOAD, json={}, headers=headers["admin"]).json()
            assert (refused["status"], refused["revision"]) == ("degraded", loaded["revision"])
            assert refused["diagnostics"]
            assert client.get("/readyz", headers=headers["admin"]).json() == refused
            assert not allowed()
        counts = client.get("/metrics", headers=headers["admin"]).text.splitlines()
        assert 'policyengine_reloads_total{outcome="ok"} 1.0' in counts
        assert 'policyengine_reloads_total{outcome="failed"} 2.0' in counts


def test_broken_ones_are_refused(tmp_path: Path) -> None:
    (tmp_path / "admin.pol").write_text("permit everything")
    with pytest.raises(WrongSettings, match="admin_policies"):
        Administration(tmp_path)
