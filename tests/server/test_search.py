"""Search over HTTP: the AuthZEN Search interop scenario as recorded, pages, and their tokens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from policyengine import Engine
from policyengine.authzen.errors import Malformed
from policyengine.server.page_tokens import PageTokens, Start
from tests.server.serving import EVALUATION, SEARCH_ACTION, SEARCH_RESOURCE, SEARCH_SUBJECT, serving
from tests.support.paths import ROOT

RECORDED = json.loads((ROOT / "tests/data/authzen/search-subject.json").read_text(encoding="utf-8"))["evaluation"]
WHO_VIEWS = {"subject": {"type": "user"}, "action": {"name": "view"}, "resource": {"type": "record", "id": "101"}}
ALICE = {"type": "user", "id": "alice"}
VIEWED = {"subject": ALICE, "action": {"name": "view"}, "resource": {"type": "record"}}


def test_the_recording_is_complete() -> None:
    assert len(RECORDED) == 60


@pytest.mark.parametrize("case", RECORDED)
def test_subjects(records: httpx.Client, case: dict[str, Any]) -> None:
    response = records.post(SEARCH_SUBJECT, json=case["request"])
    assert response.status_code == 200
    assert response.json() == case["expected"]


@pytest.mark.parametrize("name", ["view", "edit", "delete"])
@pytest.mark.parametrize("user", ["alice", "bob", "carol", "dan", "erin", "felix", "nobody"])
def test_results_are_what_evaluation_allows(records: httpx.Client, user: str, name: str) -> None:
    """Resources and actions, beside the decision about each."""
    subject = {"type": "user", "id": user}
    found = _results(
        records, SEARCH_RESOURCE, {"subject": subject, "action": {"name": name}, "resource": VIEWED["resource"]}
    )
    for id_ in map(str, range(101, 121)):
        resource = {"type": "record", "id": id_}
        asked = {"subject": subject, "action": {"name": name}, "resource": resource}
        allowed = records.post(EVALUATION, json=asked).json()["decision"]
        assert (resource in found) is allowed
        actions = _results(records, SEARCH_ACTION, {"subject": subject, "resource": resource})
        assert ({"name": name} in actions) is allowed


def test_properties_of_what_is_sought_are_those_of_each(tmp_path: Path) -> None:
    (tmp_path / "p.pol").write_text(
        "module p\nentity user { role?: String, vip?: Bool }\nentity thing\naction use on thing for user\n"
        "permit r: use on thing\n  when principal has vip and principal.vip"
        ' and principal has role and principal.role == "a"\n'
    )
    entities = tmp_path / "entities.json"
    entities.write_text('[{"type": "user", "id": "x", "role": "a"}, {"type": "user", "id": "y", "role": "b"}]')
    asked = {"subject": {"type": "user"}, "action": {"name": "use"}, "resource": {"type": "thing", "id": "t"}}
    with serving(tmp_path, entities=entities) as client:
        assert _results(client, SEARCH_SUBJECT, asked) == []
        asked["subject"] = {"type": "user", "properties": {"vip": True, "role": "a"}}
        assert _results(client, SEARCH_SUBJECT, asked) == [{"type": "user", "id": "x"}]


def test_what_would_owe_something_is_not_found() -> None:
    engine = Engine.from_text(
        "use ai\npermit p: retrieve on Document\n"
        'require r: retrieve on Document when document.classification > 1\n  redact(["email"])\n',
        entities=[{"type": "Document", "id": f"d{n}", "classification": n} for n in (3, 2, 1, 0)],
    )
    user = {"type": "User", "id": "ann"}
    found = engine.search_resources(principal=user, action="retrieve", resource_type="Document")
    assert found == [{"type": "Document", "id": "d0"}, {"type": "Document", "id": "d1"}]
    assert engine.search_actions(principal=user, resource={"type": "Document", "id": "d3"}) == []
    assert engine.search_actions(principal=user, resource=found[0]) == ["retrieve"]
    assert engine.search_principals(principal_type="User", action="retrieve", resource=found[0]) == []


def test_declared_tools_are_known() -> None:
    engine = Engine.from_text("use ai\ntool send()\ntool find()\npermit p: call on Tool for Agent\n")
    agent = {"type": "Agent", "id": "a"}
    found = engine.search_resources(principal=agent, action="call", resource_type="Tool")
    assert [each["id"] for each in found] == ["find", "send"]


@pytest.mark.parametrize("wrong", [None, 5, "", "Nope", ["Document"]])
def test_malformed_searches_find_nothing(wrong: Any) -> None:
    engine = Engine.from_text("use ai\npermit p: any on any\n", entities=[{"type": "Document", "id": "d"}])
    document = {"type": "Document", "id": "d"}
    assert engine.search_resources(principal=document, action="retrieve", resource_type=wrong) == []
    assert engine.search_principals(principal_type="Document", action=wrong, resource=document) == []
    assert engine.search_actions(principal=wrong, resource=document) == []


_SAID = [None, 1, "view", [], {}, {"type": "x"}, {"name": 5}, {"name": "view", "x": 1}]


@pytest.mark.parametrize("said", _SAID, ids=repr)
def test_what_stands_in_the_place_of_what_is_sought_is_ignored(records: httpx.Client, said: Any) -> None:
    asked = {"subject": ALICE, "resource": {"type": "record", "id": "101"}}
    expected = _results(records, SEARCH_ACTION, asked)
    assert expected
    assert _results(records, SEARCH_ACTION, {**asked, "action": said}) == expected
    for path, sought, more in ((SEARCH_SUBJECT, "subject", WHO_VIEWS), (SEARCH_RESOURCE, "resource", VIEWED)):
        named = {**more, sought: {**more[sought], "id": said}}
        assert _results(records, path, named) == _results(records, path, more)


# ---- pages ----


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 19, 20, 21, 2**70])
@pytest.mark.parametrize(("path", "request_"), [(SEARCH_SUBJECT, WHO_VIEWS), (SEARCH_RESOURCE, VIEWED)])
def test_the_pages_are_the_whole(records: httpx.Client, path: str, request_: dict[str, Any], limit: int) -> None:
    whole = _results(records, path, request_)
    assert len(whole) > 3
    assert whole == sorted(whole, key=lambda each: each["id"])
    assert _pages(records, path, request_, limit) == whole


def test_actions_have_pages(records: httpx.Client) -> None:
    asked = {"subject": ALICE, "resource": {"type": "record", "id": "101"}}
    assert _pages(records, SEARCH_ACTION, asked, 1) == [{"name": "delete"}, {"name": "edit"}, {"name": "view"}]


def test_the_service_has_a_largest_page() -> None:
    """No result is missing without a word, with or without a limit."""
    policies = ROOT / "policies" / "authzen_search"
    with serving(policies, entities=policies / "entities.json", max_page=8) as client:
        first = client.post(SEARCH_RESOURCE, json=VIEWED).json()
        assert first["page"]["count"] == len(first["results"]) == 8
        assert first["page"]["next_token"]
        assert len(_pages(client, SEARCH_RESOURCE, VIEWED, None)) == 20
        assert len(_pages(client, SEARCH_RESOURCE, VIEWED, 1000)) == 20


def test_a_limit_of_nothing(records: httpx.Client) -> None:
    empty = records.post(SEARCH_RESOURCE, json={**VIEWED, "page": {"limit": 0}}).json()
    assert (empty["results"], empty["page"]["count"]) == ([], 0)
    token = empty["page"]["next_token"]
    assert token
    assert len(_results(records, SEARCH_RESOURCE, {**VIEWED, "page": {"token": token}})) == 20
    assert len(_results(records, SEARCH_RESOURCE, {**VIEWED, "page": {"token": token, "limit": 3}})) == 3


def test_a_page_that_is_asked_for_is_said(records: httpx.Client) -> None:
    answer = records.post(SEARCH_RESOURCE, json={**VIEWED, "page": {}}).json()
    assert answer["page"] == {"next_token": "", "count": 20}
    assert next(iter(answer)) == "page"


@pytest.mark.parametrize(
    "page",
    [None, [], "x", {"limit": -1}, {"limit": 1.0}, {"limit": True}, {"limit": "1"}, {"limit": None}, {"token": ""},
     {"token": 5}, {"token": None}, {"token": "x"}, {"token": "é"}, {"token": "!!!!"}, {"properties": []}],
)  # fmt: skip
def test_a_page_that_is_none(records: httpx.Client, page: Any) -> None:
    response = records.post(SEARCH_RESOURCE, json={**VIEWED, "page": page})
    assert response.status_code == 400
    assert "`page" in response.json()["detail"]


def _token(client: httpx.Client) -> str:
    token: str = client.post(SEARCH_RESOURCE, json={**VIEWED, "page": {"limit": 2}}).json()["page"]["next_token"]
    return token


def test_a_token_is_for_its_search(records: httpx.Client) -> None:
    token = _token(records)
    same = {**VIEWED, "page": {"token": token}}
    assert len(_results(records, SEARCH_RESOURCE, same)) == 2
    assert len(_results(records, SEARCH_RESOURCE, {**same, "page": {"token": token, "limit": 2}})) == 2
    # What the search ignores does not matter.
    assert len(_results(records, SEARCH_RESOURCE, {**same, "resource": {"type": "record", "id": "101"}, "x": 1})) == 2
    others = [
        {**same, "subject": {"type": "user", "id": "dan"}},
        {**same, "subject": {**ALICE, "properties": {"x": 1}}},
        {**same, "action": {"name": "edit"}},
        {**same, "resource": {"type": "record", "properties": {"x": 1}}},
        {**same, "context": {"x": 1}},
        {**same, "page": {"token": token, "limit": 3}},
    ]
    for other in others:
        assert records.post(SEARCH_RESOURCE, json=other).status_code == 400
    both = {**WHO_VIEWS, "subject": ALICE, "page": {"token": token}}
    assert records.post(SEARCH_SUBJECT, json=both).status_code == 400


def test_a_token_cannot_be_changed() -> None:
    tokens = PageTokens("a key that nobody knows")
    token = tokens.make(["q"], "r1", Start("a", 1))
    assert tokens.read(token, ["q"], "r1") == Start("a", 1)
    for i in range(len(token)):
        for other in "AB9-_=":
            changed = token[:i] + other + token[i + 1 :]
            if changed != token:
                with pytest.raises(Malformed):
                    tokens.read(changed, ["q"], "r1")
    for changed in (token + "=", token + "\n", " " + token, token[:-4]):
        with pytest.raises(Malformed):
            tokens.read(changed, ["q"], "r1")
    with pytest.raises(Malformed, match="was not issued"):
        PageTokens("another key of a length").read(token, ["q"], "r1")
    with pytest.raises(Malformed, match="have changed"):
        tokens.read(token, ["q"], "r2")
    with pytest.raises(Malformed, match="another search"):
        tokens.read(token, ["other"], "r1")


def test_a_key_may_be_shared() -> None:
    policies = ROOT / "policies" / "authzen_search"
    settings: dict[str, Any] = {"entities": policies / "entities.json"}
    key = "0123456789abcdef"
    with serving(policies, **settings, page_key=key) as one, serving(policies, **settings, page_key=key) as two:
        assert len(_results(two, SEARCH_RESOURCE, {**VIEWED, "page": {"token": _token(one)}})) == 2
        with serving(policies, **settings) as third:
            assert third.post(SEARCH_RESOURCE, json={**VIEWED, "page": {"token": _token(one)}}).status_code == 400


# ---- asking ----


def _results(client: httpx.Client, path: str, request: dict[str, Any]) -> list[Any]:
    response = client.post(path, json=request)
    assert response.status_code == 200, response.text
    results: list[Any] = response.json()["results"]
    return results


def _pages(client: httpx.Client, path: str, request: dict[str, Any], limit: int | None) -> list[Any]:
    """All pages, one after the other."""
    page: dict[str, Any] = {} if limit is None else {"limit": limit}
    found: list[Any] = []
    while True:
        answer = client.post(path, json={**request, "page": page}).json()
        assert limit is None or len(answer["results"]) <= limit
        assert answer["page"]["count"] == len(answer["results"])
        found += answer["results"]
        if not answer["page"]["next_token"]:
            return found
        page = {**page, "token": answer["page"]["next_token"]}
