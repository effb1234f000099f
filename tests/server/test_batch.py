"""The Access Evaluations API: where a batch stops, and what one bad item does."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.server.serving import EVALUATIONS
from tests.server.test_certification import ALICE, BOB, READ, RECORD, WRITE, ask

ALLOW, DENY = ask(ALICE, READ, RECORD), ask(BOB, WRITE, RECORD)
ERROR: dict[str, Any] = {"subject": ALICE, "action": READ}


@pytest.mark.parametrize(
    ("semantic", "items", "answers"),
    [
        ("execute_all", [ALLOW, DENY, ERROR, ALLOW], [True, False, False, True]),
        ("deny_on_first_deny", [ALLOW, DENY, ALLOW], [True, False]),
        ("deny_on_first_deny", [ALLOW, ERROR, ALLOW], [True, False]),
        ("deny_on_first_deny", [ALLOW, ALLOW], [True, True]),
        ("permit_on_first_permit", [DENY, ALLOW, DENY], [False, True]),
        ("permit_on_first_permit", [ERROR, ALLOW, DENY], [False, True]),
        ("permit_on_first_permit", [DENY, DENY], [False, False]),
    ],
)
def test_semantics(certification: httpx.Client, semantic: str, items: list[Any], answers: list[bool]) -> None:
    request = {"evaluations": items, "options": {"evaluations_semantic": semantic, "unknown": 1}}
    response = certification.post(EVALUATIONS, json=request)
    assert response.status_code == 200
    assert [each["decision"] for each in response.json()["evaluations"]] == answers


BAD_ITEMS: list[Any] = [
    None,
    "x",
    [],
    {"subject": None},
    {"subject": "alice"},
    {"subject": {"type": "user"}},
    {"subject": {"type": "user", "id": ""}},
    {"action": {"name": 1}},
    {"context": None},
    {"context": {"supported_obligations": "custom"}},
    {"resource": {"type": "record", "id": "record-1", "properties": []}},
]


@pytest.mark.parametrize("item", BAD_ITEMS)
def test_a_bad_item_is_denied_with_its_error_and_spoils_nothing_else(certification: httpx.Client, item: Any) -> None:
    response = certification.post(EVALUATIONS, json={**ALLOW, "evaluations": [{}, item, {}]})
    assert response.status_code == 200
    first, bad, last = response.json()["evaluations"]
    assert (first["decision"], bad["decision"], last["decision"]) == (True, False, True)
    assert bad["context"]["error"]["status"] == 400
    assert bad["context"]["error"]["message"]
    assert bad["context"]["revision"] == first["context"]["revision"]


@pytest.mark.parametrize(
    "request_",
    [
        {"evaluations": None, **ALLOW},
        {"evaluations": {}, **ALLOW},
        {"evaluations": "x", **ALLOW},
        {"options": None, "evaluations": [ALLOW]},
        {"options": [], "evaluations": [ALLOW]},
        {"options": {"evaluations_semantic": "first_come"}, "evaluations": [ALLOW]},
        {"options": {"evaluations_semantic": None}, "evaluations": [ALLOW]},
        {"options": {"evaluations_semantic": []}, "evaluations": [ALLOW]},
        {"subject": "alice", "evaluations": [ALLOW]},
        {"subject": None, "evaluations": [ALLOW]},
        {"context": None, "evaluations": [ALLOW]},
        {"evaluations": []},
        {},
    ],
)
def test_a_malformed_payload_is_refused_whole(certification: httpx.Client, request_: Any) -> None:
    assert certification.post(EVALUATIONS, json=request_).status_code == 400


def test_a_large_batch_is_answered_in_order_by_one_revision(certification: httpx.Client) -> None:
    """Large enough to be handled in a worker thread."""
    items = [ALLOW if i % 3 else DENY for i in range(2_000)]
    response = certification.post(EVALUATIONS, json={"evaluations": items})
    assert response.status_code == 200
    answers = response.json()["evaluations"]
    assert [each["decision"] for each in answers] == [bool(i % 3) for i in range(2_000)]
    assert len({each["context"]["revision"] for each in answers}) == 1


def test_too_many_evaluations(certification: httpx.Client) -> None:
    assert certification.post(EVALUATIONS, json={"evaluations": [{}] * 10_001}).status_code == 413
