"""API keys over HTTP: administrators see to them, each within its tenant, and no text is shown twice."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from policyengine.callers import keys
from policyengine.callers.api_key import ApiKey, parse
from tests.server.serving import EVALUATION, serving
from tests.server.test_certification import PERMITTED
from tests.support.key_file import Store
from tests.support.paths import ROOT

FIXTURE = ROOT / "tests" / "data" / "authzen" / "certification"
KEYS = "/v1/admin/keys"
Ask = Callable[..., httpx.Response]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def callers(store: Store) -> dict[str, ApiKey]:
    return {
        "admin": store.new("admin"),
        "all": store.new(),
        "acme": store.new("admin", tenant="acme"),
        "globex": store.new("admin", tenant="globex"),
        "decides": store.new("decide", "approve", "explain"),
    }


@pytest.fixture(scope="module")
def service(store: Store, callers: dict[str, ApiKey]) -> Iterator[httpx.Client]:
    limits = {"failures": 1000}
    with serving(FIXTURE, entities=FIXTURE / "entities.json", keys=store.settings, limits=limits) as client:
        yield client


@pytest.fixture
def ask(service: httpx.Client, callers: dict[str, ApiKey]) -> Ask:
    def asking(who: str, what: str = "", body: Any = None) -> httpx.Response:
        method = "GET" if body is None else "POST"
        content = {} if body is None else {"json": body}
        headers = {"Authorization": f"Bearer {callers[who].text}"}
        return service.request(method, KEYS + what, headers=headers, **content)

    return asking


def opens(service: httpx.Client, text: str) -> int:
    return service.post(EVALUATION, json=PERMITTED, headers={"Authorization": f"Bearer {text}"}).status_code


def test_a_key_is_made_used_rotated_and_revoked(service: httpx.Client, ask: Ask) -> None:
    made = ask("admin", "", {"name": "gateway", "scopes": ["decide"], "seconds": 600}).json()
    assert parse(made["key"]) is not None
    assert (made["name"], made["scopes"], made["state"], made["tenant"]) == ("gateway", ["decide"], "good", None)
    assert made["expires"] > made["created"]
    # The process that made it knows it at once.
    assert opens(service, made["key"]) == 200
    rotated = ask("admin", "/rotate", {"id": made["id"], "overlap": 600}).json()
    assert (rotated["id"], rotated["secrets"]) == (made["id"], 2)
    assert [opens(service, each["key"]) for each in (made, rotated)] == [200, 200]
    last = ask("admin", "/rotate", {"id": made["id"], "overlap": 0}).json()
    assert [opens(service, each["key"]) for each in (made, rotated, last)] == [401, 401, 200]
    assert ask("admin", "/check", {"key": last["key"]}).json()["state"] == "good"
    assert ask("admin", "/check", {"key": made["key"]}).json() == {"state": "unknown", "key": None}
    assert ask("admin", "/revoke", {"id": made["id"]}).json()["state"] == "revoked"
    assert opens(service, last["key"]) == 401
    verdict = ask("admin", "/check", {"key": last["key"]}).json()
    assert (verdict["state"], verdict["key"]["id"]) == ("revoked", made["id"])
    assert ask("admin", "/rotate", {"id": made["id"]}).status_code == 409
    assert ask("admin", "/revoke", {"id": made["id"]}).json()["state"] == "revoked"
    listed = next(each for each in ask("admin").json()["keys"] if each["id"] == made["id"])
    assert listed.keys() == made.keys() - {"key"} | {"usage"}
    assert "key" not in listed


def test_a_key_may_be_bound_to_addresses(service: httpx.Client, ask: Ask) -> None:
    elsewhere = ask("admin", "", {"name": "k", "scopes": ["decide"], "addresses": ["10.0.0.0/8"]}).json()
    assert opens(service, elsewhere["key"]) == 401
    for address, state in (("10.1.1.1", "good"), ("127.0.0.1", "not from this address")):
        assert ask("admin", "/check", {"key": elsewhere["key"], "address": address}).json()["state"] == state


@pytest.mark.parametrize("what", ["", "/rotate", "/revoke", "/check"])
def test_only_administrators_see_to_keys(service: httpx.Client, ask: Ask, what: str) -> None:
    for body in ({}, {"name": "k", "scopes": ["decide"]}):
        assert ask("decides", what, body).status_code == 403
        assert service.post(KEYS + what, json=body).status_code == 401
    assert ask("decides").status_code == 403
    assert service.get(KEYS).status_code == 401


def test_an_administrator_of_one_tenant_sees_to_its_keys_and_to_no_others(ask: Ask) -> None:
    mine = ask("acme", "", {"name": "of acme", "scopes": ["admin"]}).json()
    same = ask("acme", "", {"name": "of acme", "scopes": ["decide"], "tenant": "acme"}).json()
    assert {mine["tenant"], same["tenant"]} == {"acme"}
    assert ask("acme", "", {"name": "k", "scopes": ["decide"], "tenant": "globex"}).status_code == 403
    others = [ask("globex", "", {"name": "k", "scopes": ["decide"]}).json(), ask("admin").json()["keys"][0]]
    assert {each["tenant"] for each in ask("acme").json()["keys"]} == {"acme"}
    nobody = {"id": "000000000000"}
    for what in ("/rotate", "/revoke"):
        for each in others:
            # As one that nobody has: no word differs but the identifier of the request.
            refused, absent = ask("acme", what, {"id": each["id"]}), ask("acme", what, nobody)
            assert refused.status_code == absent.status_code == 404
            assert {**refused.json(), "request_id": ""} == {**absent.json(), "request_id": ""}
        assert ask("acme", what, {"id": same["id"]}).status_code == 200
    assert ask("acme", "/check", {"key": others[0]["key"]}).json() == {"state": "unknown", "key": None}
    assert ask("admin", "/check", {"key": others[0]["key"]}).json()["state"] == "good"


def test_whoever_may_not_approve_gets_no_key_that_may(ask: Ask, store: Store) -> None:
    wanted = {"name": "approver", "scopes": ["approve"]}
    assert ask("admin", "", wanted).status_code == 403
    made = ask("all", "", wanted).json()
    assert made["scopes"] == ["approve"]
    # A new secret opens what the key does.
    before = store.store.keys()[made["id"]]
    refused = ask("admin", "/rotate", {"id": made["id"]})
    assert (refused.status_code, refused.json()["detail"]) == (403, "whoever may not approve makes no key that may")
    assert store.store.keys()[made["id"]] == before
    assert ask("admin", "/revoke", {"id": made["id"]}).status_code == 200


@pytest.mark.parametrize(
    ("what", "body"),
    [
        ("", {"name": "k", "scopes": ["decide"], "tenants": "acme"}),
        ("", {"name": "k", "scopes": ["decide"], "id": "000000000000"}),
        ("", {"name": "k", "scopes": []}),
        ("", {"name": "k", "scopes": ["everything"]}),
        ("", {"name": "k", "scopes": "decide"}),
        ("", {"name": "", "scopes": ["decide"]}),
        ("", {"name": "k\x1b[2J", "scopes": ["decide"]}),
        ("", {"name": "ci\u3164", "scopes": ["decide"]}),
        ("", {"name": "k", "scopes": ["decide"], "tenant": ""}),
        ("", {"name": "k", "scopes": ["decide"], "tenant": 7}),
        ("", {"name": "k", "scopes": ["decide"], "addresses": ["nowhere"]}),
        ("", {"name": "k", "scopes": ["decide"], "addresses": ["10.0.0.1/8"]}),
        *(("", {"name": "k", "scopes": ["decide"], "seconds": each}) for each in (0, -1, 1e300, True, "60")),
        *(("/rotate", {"id": "000000000000", "overlap": each}) for each in (-1, 1e300, None, "60")),
        ("/rotate", {}),
        ("/revoke", {"id": ["a"]}),
        ("/revoke", {"id": "a", "why": "x"}),
        ("/check", {"key": {}}),
        ("/check", []),
    ],
)
def test_what_is_not_plainly_asked_changes_nothing(ask: Ask, store: Store, what: str, body: Any) -> None:
    before = store.store.keys()
    answer = ask("admin", what, body)
    assert answer.status_code == 400, answer.text
    assert store.store.keys() == before


def test_no_text_and_no_hash_is_told_twice(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    store = Store(tmp_path)
    headers = {"Authorization": f"Bearer {store.new('admin').text}"}
    with serving(FIXTURE, keys=store.settings, log_level="info") as client:
        made = client.post(KEYS, json={"name": "told", "scopes": ["decide"]}, headers=headers).json()
        client.post(f"{KEYS}/check", json={"key": made["key"]}, headers=headers)
        listed = client.get(KEYS, headers=headers).text
    said = capfd.readouterr()
    events = [line for line in (said.out + said.err).splitlines() if "key.created" in line]
    assert len(events) == 1
    assert made["id"] in events[0]
    secret = made["key"].rpartition("_")[2]
    assert secret not in said.out + said.err
    assert secret not in listed
    assert not [each.digest for key in store.store.keys().values() for each in key.secrets if each.digest in listed]


def test_a_store_that_is_away_is_no_answer(tmp_path: Path) -> None:
    store = Store(tmp_path)
    admin = store.new("admin")
    with serving(FIXTURE, keys=store.settings) as client:
        client.headers["Authorization"] = f"Bearer {admin.text}"
        path = Path(str(store.settings.store))
        text = path.read_text()
        path.write_text("{")
        for method, what, body in (
            ("GET", "", None),
            ("POST", "", {"name": "k", "scopes": ["decide"]}),
            ("POST", "/revoke", {"id": admin.id}),
            ("POST", "/check", {"key": admin.text}),
        ):
            answer = client.request(method, KEYS + what, **({} if body is None else {"json": body}))
            assert (answer.status_code, answer.json()["detail"]) == (503, "the key store is unavailable")
        path.write_text(text)
        assert client.get(KEYS).status_code == 200


def test_a_key_made_over_http_is_that_of_the_command_line(ask: Ask, store: Store) -> None:
    made = ask("admin", "", {"name": "same", "scopes": ["decide"], "tenant": "acme"}).json()
    kept = store.store.keys()[made["id"]]
    shown = parse(made["key"])
    assert shown is not None
    assert keys.matching(kept, keys.api_key.digest(shown, store.hash_key), time.time())
    assert (kept.name, kept.tenant, kept.scopes) == ("same", "acme", frozenset({"decide"}))
    assert made["key"] not in json.dumps(keys.as_json(kept))
