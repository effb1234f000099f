"""Authorizing over HTTP: real requests to a real server, and what becomes of a reservation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from policyengine.callers.caller import Caller
from policyengine.engine import Engine
from policyengine.server.authorize import reservation
from policyengine.server.errors import RequestError
from tests.server.serving import serving

POLICIES = """
module gateway
use ai

permit models: invoke on Model
permit tools: call on Tool

limit rate: invoke on Model
  at most 2 requests per 1m by principal

limit budget: invoke on Model
  when context has cost
  at most 2 of cost.usd per day by principal

label saw_web: call on Tool::"browse"

forbid exfiltration: call on Tool::"send"
  when "saw_web" in session.labels
"""
ANN = {"type": "User", "id": "ann", "properties": {"tenant": "acme"}}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[httpx.Client]:
    (tmp_path / "policy.pol").write_text(POLICIES, encoding="utf-8")
    with serving(tmp_path, state=f"sqlite:///{tmp_path}/state.db") as client:
        yield client


def post(client: httpx.Client, path: str, status: int = 200, **body: Any) -> Any:
    answer = client.post(path, json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


def invoke(client: httpx.Client, who: str = "ann", path: str = "/v1/authorize", **more: Any) -> httpx.Response:
    body = {
        "subject": {**ANN, "id": who},
        "action": {"name": "invoke"},
        "resource": {"type": "Model", "id": "m"},
        **more,
    }
    return client.post(path, json=body)


def call(client: httpx.Client, tool: str, session: str | None, **more: Any) -> Any:
    body = {"subject": ANN} | {"action": {"name": "call"}, "resource": {"type": "Tool", "id": tool}, **more}
    return post(client, "/v1/authorize", **body, **({"session": session} if session is not None else {}))


def test_limits_are_charged_and_the_answer_says_how_much_is_left(client: httpx.Client) -> None:
    answer = invoke(client)
    context = answer.json()["context"]
    assert answer.json()["decision"]
    assert [(m["rule"], m["used"], m["remaining"]) for m in context["meters"]] == [("gateway.rate", 1, 1)]
    assert answer.headers["ratelimit"].startswith('"gateway.rate";r=1;t=')
    assert context["reservation"]["id"]
    assert invoke(client).json()["decision"]
    refused = invoke(client)
    assert (refused.status_code, refused.json()["decision"]) == (200, False)
    assert refused.json()["context"]["denied_by"] == ["gateway.rate"]
    assert refused.headers["retry-after"] == str(refused.json()["context"]["retry_after"])
    asked = invoke(client, path="/v1/authorize?status=429")
    assert (asked.status_code, asked.json()["decision"]) == (429, False)
    assert invoke(client, "bob", path="/v1/authorize?status=429").status_code == 200


def test_a_reservation_is_settled_renewed_and_cancelled(client: httpx.Client) -> None:
    cost = {"context": {"cost": {"usd": 1.5, "tokens": 10}}}
    one = invoke(client, **cost).json()["context"]["reservation"]["id"]
    post(client, f"/v1/reservations/{one}/renew", lease=60)
    settled = post(client, f"/v1/reservations/{one}/settle", cost={"usd": 0.25})
    assert [(m["rule"], m["used"]) for m in settled["meters"]] == [("gateway.budget", 0.25), ("gateway.rate", 1)]
    post(client, f"/v1/reservations/{one}/settle", 409, cost={"usd": 0})
    two = invoke(client, **cost).json()["context"]["reservation"]["id"]
    post(client, f"/v1/reservations/{two}/settle", 400, cost={"usd": "0"})
    post(client, f"/v1/reservations/{two}/settle", 400, cost=[])
    post(client, f"/v1/reservations/{two}/cancel")
    post(client, f"/v1/reservations/{two}/cancel", 409)
    post(client, "/v1/reservations/none/settle", 404)
    post(client, f"/v1/reservations/{two}/steal", 404)


def test_a_reservation_is_its_callers_alone() -> None:
    engine = Engine.from_text(POLICIES)
    ann = {"type": "User", "id": "ann"}
    grant = engine.authorize(
        principal=ann, action="invoke", resource={"type": "Model", "id": "m"}, caller='["key", "one", "acme"]'
    )
    question = reservation(f"/v1/reservations/{grant.id}/cancel")
    assert question is not None
    for caller in (
        Caller("two", "key", frozenset({"authorize"}), "acme"),
        Caller("one", "key", frozenset({"authorize"}), "globex"),
        Caller("one", "token", frozenset({"authorize"}), "acme"),
    ):
        with pytest.raises(RequestError, match="no such reservation"):
            question.handle(engine, b"{}", caller)
    question.handle(engine, b"{}", Caller("one", "key", frozenset({"authorize"}), "acme"))


def test_a_retry_is_charged_once(client: httpx.Client) -> None:
    first = invoke(client, idempotency_key="k").json()["context"]["reservation"]
    again = invoke(client, idempotency_key="k").json()["context"]["reservation"]
    assert (again["id"], again["replayed"]) == (first["id"], True)
    assert invoke(client).json()["context"]["meters"][0]["used"] == 2


def test_a_session_is_issued_and_remembers(client: httpx.Client) -> None:
    session = post(client, "/v1/sessions", subject=ANN)["session"]
    assert call(client, "send", session)["decision"]
    post(client, "/v1/results", session=session, subject=ANN, tool="send", labels=["saw_web"])
    assert call(client, "send", session)["context"]["determining"] == ["gateway.exfiltration"]
    post(client, "/v1/results", 404, session=session, subject={**ANN, "id": "eve"}, labels=["x"])
    post(client, "/v1/results", 400, session=session, subject=ANN, labels="x")
    post(client, "/v1/results", 400, subject=ANN)


def test_a_session_that_the_service_did_not_issue_denies(client: httpx.Client) -> None:
    session = post(client, "/v1/sessions", subject=ANN)["session"]
    assert call(client, "browse", session)["decision"]
    assert not call(client, "send", "another")["decision"]
    elsewhere = {**ANN, "properties": {"tenant": "globex"}}
    assert not call(client, "send", session, subject=elsewhere)["decision"]
    assert not call(client, "browse", "another")["decision"]


def test_labels_are_never_believed(client: httpx.Client) -> None:
    forged = {"session": {"type": "Session", "id": "s", "labels": []}}
    assert not call(client, "send", None, context=forged)["decision"]
    assert not call(client, "send", "s", context=forged)["decision"]


@pytest.mark.parametrize("wrong", [{"session": 7}, {"session": ""}, {"lease": "1"}, {"lease": 0}, {"lease": 1e9},
                                   {"idempotency_key": []}, {"session": "s" * 257}])  # fmt: skip
def test_what_is_no_request_is_refused(client: httpx.Client, wrong: dict[str, Any]) -> None:
    assert invoke(client, **wrong).status_code == 400


def test_who_cannot_do_what_is_owed_is_charged_nothing(tmp_path: Path) -> None:
    owing = POLICIES + '\nrequire scrub: invoke on Model\n  redact(["email"])\n'
    (tmp_path / "policy.pol").write_text(owing, encoding="utf-8")
    with serving(tmp_path) as client:
        unable = invoke(client, context={"supported_obligations": []}).json()
        assert not unable["decision"]
        assert "reservation" not in unable["context"]
        able = invoke(client, context={"supported_obligations": ["redact"]}).json()
        assert [meter["used"] for meter in able["context"]["meters"]] == [1]


def test_a_settlement_whose_answer_was_lost_is_said_again(client: httpx.Client) -> None:
    cost = {"cost": {"usd": 1.5}}
    one = invoke(client, context={"cost": {"usd": 1}}).json()["context"]["reservation"]["id"]
    first = post(client, f"/v1/reservations/{one}/settle", **cost)
    assert post(client, f"/v1/reservations/{one}/settle", **cost) == first
    post(client, f"/v1/reservations/{one}/settle", 409, cost={"usd": 0.1})
    assert post(client, f"/v1/reservations/{one}/settle", **cost) == first


def test_an_idempotency_key_of_another_request_is_a_conflict(client: httpx.Client) -> None:
    assert invoke(client, idempotency_key="k").json()["decision"]
    assert invoke(client, idempotency_key="k").json()["context"]["reservation"]["replayed"]
    other = invoke(client, idempotency_key="k", context={"cost": {"usd": 1}})
    assert other.status_code == 409
    assert "idempotency key" in other.json()["detail"]


def test_many_are_authorized_each_for_itself(client: httpx.Client) -> None:
    one = {"subject": ANN, "action": {"name": "invoke"}, "resource": {"type": "Model", "id": "m"}}
    items = [one, {"subject": 5}, {**one, "idempotency_key": "k"}, {**one, "idempotency_key": "k"}, one, 7]
    answers = post(client, "/v1/authorizations", authorizations=items)["authorizations"]
    assert [each["decision"] for each in answers] == [True, False, True, True, False, False]
    assert answers[3]["context"]["reservation"]["replayed"]
    assert answers[4]["context"]["denied_by"] == ["gateway.rate"]
    assert answers[5]["context"]["error"]["status"] == 400
    for wrong in ({}, {"authorizations": []}, {"authorizations": "x"}):
        post(client, "/v1/authorizations", 400, **wrong)
