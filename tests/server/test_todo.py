"""The AuthZEN Todo interop scenario over HTTP: 40 decisions and 3 batches, as recorded."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.server.serving import EVALUATION, EVALUATIONS
from tests.support.paths import ROOT

RECORDED = json.loads((ROOT / "tests/data/authzen/todo-decisions-1_0-02.json").read_text(encoding="utf-8"))


def test_the_recording_is_complete() -> None:
    assert len(RECORDED["evaluation"]) == 40
    assert len(RECORDED["evaluations"]) == 3


@pytest.mark.parametrize("case", RECORDED["evaluation"])
def test_decision(todo: httpx.Client, case: dict[str, Any]) -> None:
    response = todo.post(EVALUATION, json=case["request"])
    assert response.status_code == 200
    assert response.json()["decision"] is case["expected"], response.text


@pytest.mark.parametrize("case", RECORDED["evaluations"])
def test_batch(todo: httpx.Client, case: dict[str, Any]) -> None:
    response = todo.post(EVALUATIONS, json=case["request"])
    assert response.status_code == 200
    answers = [each["decision"] for each in response.json()["evaluations"]]
    assert answers == [each["decision"] for each in case["expected"]], response.text


def test_a_request_cannot_give_itself_a_role(todo: httpx.Client) -> None:
    """What the entity source says of a user wins over what a request says."""
    viewer = "CiRmZDM2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs"
    request = {
        "subject": {"type": "user", "id": viewer, "properties": {"roles": ["admin"]}},
        "action": {"name": "can_delete_todo"},
        "resource": {"type": "todo", "id": "t1", "properties": {"ownerID": "rick@the-citadel.com"}},
    }
    assert todo.post(EVALUATION, json=request).json()["decision"] is False
