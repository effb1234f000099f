"""The certification scenario of AuthZEN Authorization API 1.0: the levels Basic, Batch, Search and
Discovery.

Each case is named by its section of the scenario. A decision of None means that only the structure counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.server.serving import EVALUATION, EVALUATIONS, SEARCH_ACTION, SEARCH_RESOURCE, SEARCH_SUBJECT, serving
from tests.support.key_file import Store
from tests.support.paths import ROOT

Value = dict[str, Any]
FIXTURE = ROOT / "tests" / "data" / "authzen" / "certification"


@pytest.fixture(scope="module", params=["insecure", "authenticated"])
def certification(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of the scenario's server: one that answers anybody, and one that wants a key."""
    if request.param == "insecure":
        yield request.getfixturevalue("open_certification")
        return
    store = Store(tmp_path_factory.mktemp("keys"))
    key = store.new("decide", "search")
    with serving(FIXTURE, entities=FIXTURE / "entities.json", keys=store.settings) as client:
        client.headers["Authorization"] = f"Bearer {key.text}"
        yield client


@pytest.fixture(scope="module")
def open_certification() -> Iterator[httpx.Client]:
    with serving(FIXTURE, entities=FIXTURE / "entities.json") as client:
        yield client


def user(id_: str, **properties: Any) -> Value:
    return _entity("user", id_, properties)


def record(id_: str, **properties: Any) -> Value:
    return _entity("record", id_, properties)


def _entity(type_: str, id_: str, properties: Value) -> Value:
    return {"type": type_, "id": id_, **({"properties": properties} if properties else {})}


def act(name: str, **properties: Any) -> Value:
    return {"name": name, **({"properties": properties} if properties else {})}


def ask(subject: Value, action: Value, resource: Value, **more: Any) -> Value:
    return {"subject": subject, "action": action, "resource": resource, **more}


ALICE, BOB, ADMIN = user("alice"), user("bob"), user("bob", role="admin")
ACTIVE, ARCHIVED = record("record-1", status="active"), record("record-2", status="archived")
RECORD = record("record-1")
READ, WRITE = act("read"), act("write")
# The scenario's own context; its time is not RFC 3339, which must not matter to rules that do not read it.
CONTEXT = {"time": "2025-06-27T18:03-07:00", "ip": "192.168.1.1"}
PERMITTED = ask(ALICE, READ, RECORD)

DECISIONS = {
    "rule 1": (PERMITTED, True),
    "rule 2": (ask(ALICE, WRITE, RECORD), True),
    "rule 3": (ask(BOB, READ, RECORD), True),
    "rule 4": (ask(BOB, WRITE, RECORD), False),
    "2.2.3 context": (ask(ALICE, READ, RECORD, context=CONTEXT), True),
    "2.2.4 rule 5, resource properties": (ask(ALICE, WRITE, ARCHIVED), False),
    "2.2.5 rule 6, subject properties": (ask(ADMIN, WRITE, ARCHIVED), True),
    "2.2.6 rule 7, action properties": (ask(ALICE, act("delete", soft=True), RECORD), True),
    "2.2.7 rule 8, action properties": (ask(ALICE, act("delete", soft=False), RECORD), False),
    "2.2.8 additional properties": (
        ask(
            user("alice", department="Sales", role="manager"),
            act("read", method="GET"),
            record("record-1", status="active", owner="bob"),
        ),
        True,
    ),
    "2.2.9 unknown fields": ({**PERMITTED, "foo": "bar", "futureField": {"nested": True}}, True),
}

REFUSED = {
    "2.4.1 no subject": {"action": READ, "resource": RECORD},
    "2.4.1 no action": {"subject": ALICE, "resource": RECORD},
    "2.4.1 no resource": {"subject": ALICE, "action": READ},
    "2.4.2 subject without type": ask({"id": "alice"}, READ, RECORD),
    "2.4.2 subject without id": ask({"type": "user"}, READ, RECORD),
    "2.4.2 action without name": ask(ALICE, {}, RECORD),
    "2.4.2 resource without type": ask(ALICE, READ, {"id": "record-1"}),
    "2.4.2 resource without id": ask(ALICE, READ, {"type": "record"}),
    "2.4.6 subject is text": {**PERMITTED, "subject": "alice"},
    "2.4.6 action name is a number": ask(ALICE, {"name": 123}, RECORD),
}

BATCHES: dict[str, tuple[Value, list[bool | None]]] = {
    "3.2.1 default subject and action": (
        {"subject": ALICE, "action": READ, "evaluations": [{"resource": RECORD}, {"resource": record("record-2")}]},
        [True, None],
    ),
    "3.2.2 default subject and resource": (
        {"subject": BOB, "resource": RECORD, "evaluations": [{"action": READ}, {"action": WRITE}]},
        [True, False],
    ),
    "3.2.3 resource properties": (
        {"subject": ALICE, "action": WRITE, "evaluations": [{"resource": ACTIVE}, {"resource": ARCHIVED}]},
        [True, False],
    ),
    "3.2.4 subject properties": (
        {"action": WRITE, "resource": ARCHIVED, "evaluations": [{"subject": ALICE}, {"subject": ADMIN}]},
        [False, True],
    ),
    "3.2.5 no defaults": ({"evaluations": [PERMITTED, ask(BOB, WRITE, RECORD)]}, [True, False]),
    "3.2.6 context": (
        {
            "subject": ALICE,
            "action": READ,
            "context": {"time": "2025-06-27T18:03-07:00"},
            "evaluations": [
                {"resource": RECORD},
                {"resource": record("record-2"), "context": {"time": "2025-06-27T19:00-07:00", "source": "batch"}},
            ],
        },
        [True, None],
    ),
    "3.2.7 defaults are replaced whole": (
        {**ask(ALICE, WRITE, ACTIVE), "evaluations": [{}, {"resource": ARCHIVED}]},
        [True, False],
    ),
    "3.4.1 an item without resource": (
        {
            "subject": ALICE,
            "action": READ,
            "options": {"evaluations_semantic": "execute_all"},
            "evaluations": [{"resource": RECORD}, {}],
        },
        [True, False],
    ),
}


USER, RECORDS = {"type": "user"}, {"type": "record"}
USERS = [{"type": "user", "id": "alice"}, {"type": "user", "id": "bob"}]
BOTH = [{"type": "record", "id": "record-1"}, {"type": "record", "id": "record-2"}]

SEARCHES: dict[str, tuple[str, Value, list[Value]]] = {
    "4.2.1": (SEARCH_SUBJECT, ask(USER, READ, RECORD), USERS),
    "4.2.2 context": (SEARCH_SUBJECT, ask(USER, READ, RECORD, context=CONTEXT), USERS),
    "4.2.3 id is ignored": (SEARCH_SUBJECT, ask(ALICE, READ, RECORD), USERS),
    "4.2.4 resource properties": (SEARCH_SUBJECT, ask(USER, WRITE, ARCHIVED), USERS[1:]),
    "4.3.1": (SEARCH_RESOURCE, ask(ALICE, READ, RECORDS), BOTH),
    "4.3.2 context": (SEARCH_RESOURCE, ask(ALICE, READ, RECORDS, context=CONTEXT), BOTH),
    "4.3.3 id is ignored": (SEARCH_RESOURCE, ask(ALICE, READ, RECORD), BOTH),
    "4.3.4 subject properties": (SEARCH_RESOURCE, ask(ADMIN, WRITE, RECORDS), BOTH[1:]),
    "4.4.1": (SEARCH_ACTION, {"subject": ALICE, "resource": RECORD}, [READ, WRITE]),
    "4.4.2 context": (SEARCH_ACTION, {"subject": ALICE, "resource": RECORD, "context": CONTEXT}, [READ, WRITE]),
    "4.4.3 properties": (SEARCH_ACTION, {"subject": ADMIN, "resource": ARCHIVED}, [READ, WRITE]),
    "4.6.1 unknown subject": (SEARCH_ACTION, {"subject": user("nobody"), "resource": RECORD}, []),
    "4.6.1 unknown subject of resources": (SEARCH_RESOURCE, ask(user("nobody"), READ, RECORDS), []),
    "4.6.2 unknown type of subject": (SEARCH_SUBJECT, ask({"type": "spaceship"}, READ, RECORD), []),
    "4.6.2 unknown type of resource": (SEARCH_RESOURCE, ask(ALICE, READ, {"type": "spaceship"}), []),
    "4.6.2 unknown types": (SEARCH_ACTION, {"subject": _entity("ship", "a", {}), "resource": RECORD}, []),
    "unknown action": (SEARCH_SUBJECT, ask(USER, act("fly"), RECORD), []),
}

SEARCHES_REFUSED: dict[str, tuple[str, Value]] = {
    "4.7.1 subjects without action": (SEARCH_SUBJECT, {"subject": USER, "resource": RECORD}),
    "4.7.1 resources without subject": (SEARCH_RESOURCE, {"action": READ, "resource": RECORDS}),
    "4.7.1 actions without resource": (SEARCH_ACTION, {"subject": ALICE}),
    "4.7.2 subjects for a resource without id": (SEARCH_SUBJECT, ask(USER, READ, RECORDS)),
    "4.7.2 resources for a subject without id": (SEARCH_RESOURCE, ask(USER, READ, RECORDS)),
    "4.7.2 actions for a subject without id": (SEARCH_ACTION, {"subject": USER, "resource": RECORD}),
    "4.7.2 actions on a resource without id": (SEARCH_ACTION, {"subject": ALICE, "resource": RECORDS}),
}


@pytest.mark.parametrize("name", DECISIONS)
def test_basic(certification: httpx.Client, name: str) -> None:
    request, expected = DECISIONS[name]
    for _ in range(3):  # 2.6: the same answer each time
        _assert_decision(certification.post(EVALUATION, json=request), expected)


@pytest.mark.parametrize("name", REFUSED)
def test_basic_refuses(certification: httpx.Client, name: str) -> None:
    assert certification.post(EVALUATION, json=REFUSED[name]).status_code == 400


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b'{"subject"', "application/json"),  # 2.4.4
        (b"", "application/json"),  # 2.4.5
        (b"{}", "text/plain"),  # 2.4.3
    ],
)
def test_basic_refuses_what_is_not_json(certification: httpx.Client, body: bytes, content_type: str) -> None:
    response = certification.post(EVALUATION, content=body, headers={"Content-Type": content_type})
    assert response.status_code == 400


def test_request_id_is_echoed_and_not_required(certification: httpx.Client) -> None:
    sent = "bfe9eb29-ab87-4ca3-be83-a1d5d8305716"
    response = certification.post(EVALUATION, json=PERMITTED, headers={"X-Request-ID": sent})
    assert response.headers["X-Request-ID"] == sent
    assert certification.post(EVALUATION, json=PERMITTED).status_code == 200


@pytest.mark.parametrize("name", BATCHES)
def test_batch(certification: httpx.Client, name: str) -> None:
    request, expected = BATCHES[name]
    response = certification.post(EVALUATIONS, json=request)
    assert response.status_code == 200
    answers = response.json()["evaluations"]
    assert len(answers) == len(expected)
    for answer, decision in zip(answers, expected, strict=True):
        assert type(answer["decision"]) is bool
        assert decision is None or answer["decision"] is decision, answer


@pytest.mark.parametrize("more", [{}, {"evaluations": []}])
def test_batch_without_evaluations_is_a_single_one(certification: httpx.Client, more: Value) -> None:
    _assert_decision(certification.post(EVALUATIONS, json={**PERMITTED, **more}), True)
    _assert_decision(certification.post(EVALUATIONS, json={**ask(BOB, WRITE, RECORD), **more}), False)


@pytest.mark.parametrize("name", REFUSED)
def test_batch_without_evaluations_refuses(certification: httpx.Client, name: str) -> None:
    assert certification.post(EVALUATIONS, json=REFUSED[name]).status_code == 400


@pytest.mark.parametrize("name", SEARCHES)
def test_search(certification: httpx.Client, name: str) -> None:
    path, request, expected = SEARCHES[name]
    response = certification.post(path, json=request)
    assert response.status_code == 200
    assert response.json() == {"results": expected}


@pytest.mark.parametrize("name", SEARCHES_REFUSED)
def test_search_refuses(certification: httpx.Client, name: str) -> None:
    path, request = SEARCHES_REFUSED[name]
    assert certification.post(path, json=request).status_code == 400


def test_search_pages(certification: httpx.Client) -> None:
    """4.5: a page with a limit, and the next one without, as the scenario asks for it."""
    request = ask(USER, READ, RECORD)
    first = certification.post(SEARCH_SUBJECT, json={**request, "page": {"limit": 1}}).json()
    assert first["results"] == USERS[:1]
    assert first["page"]["next_token"]
    second = certification.post(SEARCH_SUBJECT, json={**request, "page": {"token": first["page"]["next_token"]}}).json()
    assert second == {"page": {"next_token": "", "count": 1}, "results": USERS[1:]}


def test_discovery(certification: httpx.Client) -> None:
    response = certification.get("/.well-known/authzen-configuration")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    metadata = response.json()
    base = str(certification.base_url).rstrip("/")
    assert metadata["policy_decision_point"] == base
    assert metadata["access_evaluation_endpoint"] == base + EVALUATION
    assert metadata["access_evaluations_endpoint"] == base + EVALUATIONS
    assert metadata["search_subject_endpoint"] == base + SEARCH_SUBJECT
    assert metadata["search_resource_endpoint"] == base + SEARCH_RESOURCE
    assert metadata["search_action_endpoint"] == base + SEARCH_ACTION


def _assert_decision(response: httpx.Response, expected: bool) -> None:
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    answer = response.json()
    assert answer["decision"] is expected, answer
    assert isinstance(answer["context"], dict)
    assert "evaluations" not in answer
