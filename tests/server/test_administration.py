"""Who may administer is decided by policies, and by whoever writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from policyengine.callers.caller import ANONYMOUS, SCOPES, Caller
from policyengine.server.administration import BUILT_IN, Administration
from policyengine.server.limit import ADMIN_OF, OTHER_ADMIN
from policyengine.settings.loading import WrongSettings
from tests.server.serving import serving
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
    # The limits of one tenant are seen to within it.
    assert decides(Caller("k", "key", frozenset({"admin"}), "acme"), action).allowed == (action == "admin_usage")
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


def test_broken_ones_are_refused(tmp_path: Path) -> None:
    (tmp_path / "admin.pol").write_text("permit everything")
    with pytest.raises(WrongSettings, match="admin_policies"):
        Administration(tmp_path)
