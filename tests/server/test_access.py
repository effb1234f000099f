"""The Access Request and Approval profile over HTTP: the examples of the profile, and submissions that are not as they
should be. A real server; its public URL is https, as the profile has it, and its paths are asked at its port."""

from __future__ import annotations

import json
import threading
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jws
from joserfc.jwk import ECKey

from policyengine.engine import Engine
from policyengine.events.sinks.webhook import secret_key, signed
from policyengine.server.evaluation import presents
from policyengine.settings.model import Tenants
from tests.server.serving import EVALUATION, EVALUATIONS, serving
from tests.support.key_file import Store

URL = "https://pdp.example.com"
REQUESTS = "/access/v1/requests"
ERROR = "urn:openid:authzen:access-request:error:"
POLICIES = """
module shop
use ai

entity Note
action can_read on Note for User

tool issue_refund(amount: Number, order: String)

permit refund: call on Tool::"issue_refund"
permit reading: can_read on Note
permit chat: invoke on Model

require person: call on Tool::"issue_refund"
  when tool.args.amount > 100
  because "a refund of more than 100 takes a person"
  approval(by: Group::"finance", within: 15m)

require manager: can_read on Note
  approval(by: Group::"finance", within: 4h, uses: 2)

limit rate: call on Tool::"issue_refund"
  when tool.args.amount > 900
  at most 2 requests per 1m by principal
"""
FINANCE = [{"type": "Group", "id": "finance"}]
PEOPLE = [{"type": "User", "id": id_, "parents": FINANCE} for id_ in ("cleo", "dan", "alice@example.com")]
CLEO = {"type": "User", "id": "cleo"}
ANN = {"type": "User", "id": "ann", "properties": {"roles": []}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    (folder / "policies").mkdir()
    (folder / "policies" / "shop.pol").write_text(POLICIES, encoding="utf-8")
    (folder / "entities.json").write_text(json.dumps(PEOPLE), encoding="utf-8")
    return folder


@contextmanager
def service(folder: Path, **settings: Any) -> Iterator[httpx.Client]:
    settings.setdefault("public_url", URL)
    settings.setdefault("state", f"sqlite:///{folder}/state.db")
    with serving(folder / "policies", entities=folder / "entities.json", **settings) as client:
        yield client


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[httpx.Client]:
    with service(folder) as client:
        yield client


@pytest.fixture(scope="module")
def people(folder: Path) -> Engine:
    """Those who approve, in another process as it were."""
    return Engine.load(folder / "policies", entities=folder / "entities.json", state=f"sqlite:///{folder}/state.db")


def refund(amount: Any = 400, subject: Any = ANN, **context: Any) -> dict[str, Any]:
    return {
        "subject": subject,
        "action": {"name": "call"},
        "resource": {"type": "Tool", "id": "issue_refund", "properties": {"args": {"amount": amount, "order": "A-1"}}},
        "context": context,
    }


def evaluate(client: httpx.Client, body: dict[str, Any]) -> Any:
    answer = client.post(EVALUATION, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def submission(http: httpx.Client, asked: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The submission of the denial of a request."""
    context = evaluate(http, asked)["context"]
    denial = {
        "evaluation_id": context["evaluation_id"],
        "evaluated_at": context["evaluated_at"],
        "expires_at": context["access_request"]["expires_at"],
        "reason": context["reason"],
        "binding_token": context["access_request"]["binding_token"],
    }
    return {**asked, "denial": denial, **more}


def submitted(client: httpx.Client, asked: dict[str, Any], **more: Any) -> Any:
    answer = client.post(REQUESTS, json=submission(client, asked, **more))
    assert answer.status_code == 202, answer.text
    return answer.json()["task"]


def path_of(url: str) -> str:
    assert url.startswith(URL)
    return url.removeprefix(URL)


def approved(client: httpx.Client, people: Engine, asked: dict[str, Any]) -> Any:
    """The approval of a request, as the status endpoint has it."""
    task = submitted(client, asked)
    people.approvals.approve(task["id"], CLEO)
    return client.get(path_of(task["status_endpoint"])).json()["result"]["approval"]


def presenting(asked: dict[str, Any], approval: Any) -> dict[str, Any]:
    return {**asked, "context": {**asked["context"], "approval": approval}}


def problem(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == answer.status_code
    return answer.status_code, answer.json()["type"].removeprefix(ERROR)


def part(token: str, number: int) -> Any:
    text = token.split(".")[number]
    return json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))


# ---- the profile's examples ----


def test_manager_approval_from_end_to_end(client: httpx.Client, people: Engine) -> None:
    asked = {
        "subject": {"type": "User", "id": "bob@example.com"},
        "resource": {"type": "Note", "id": "q4-plan"},
        "action": {"name": "can_read"},
        "context": {"time": {"now": "2026-04-30T20:15:00Z"}},
    }
    denied = evaluate(client, asked)
    assert denied["decision"] is False
    context = denied["context"]
    assert context["reason"] == "approval_required"
    hint = context["access_request"]
    assert set(hint) == {"endpoint", "expires_at", "binding_token"}
    assert hint["endpoint"] == URL + REQUESTS
    claims = part(hint["binding_token"], 1)
    assert {"agent", "session"} <= set(claims["binding_context_members"])
    assert "time" not in claims["binding_context_members"]
    assert (claims["iss"], claims["aud"], claims["evaluation_id"]) == (URL, hint["endpoint"], context["evaluation_id"])
    body = {
        "subject": asked["subject"],
        "resource": asked["resource"],
        "action": asked["action"],
        "context": {"business_justification": "Needed for customer renewal review"},
        "requested_access": {"requested_until": "2026-05-01T00:15:00Z"},
        "denial": {
            "evaluation_id": context["evaluation_id"],
            "evaluated_at": context["evaluated_at"],
            "expires_at": hint["expires_at"],
            "reason": context["reason"],
            "binding_token": hint["binding_token"],
        },
    }
    headers = {"Idempotency-Key": "7b8d0f0d-65a1-4af1-9fd3-a684f08a5d13"}
    answer = client.post(REQUESTS, json=body, headers=headers)
    assert answer.status_code == 202
    task = answer.json()["task"]
    assert answer.headers["location"] == task["status_endpoint"] == f"{URL}{REQUESTS}/{task['id']}"
    assert task["status"] == "pending"
    assert task["links"] == {"cancel": task["status_endpoint"] + "/cancel"}
    assert "result" not in answer.json()
    assert client.post(REQUESTS, json=body, headers=headers).json()["task"]["id"] == task["id"]
    other = {**body, "requested_access": {}}
    assert problem(client.post(REQUESTS, json=other, headers=headers)) == (409, "duplicate_request")
    status = client.get(path_of(task["status_endpoint"]))
    assert status.json()["task"]["status"] == "pending"
    assert int(status.headers["retry-after"]) > 0
    found = people.approvals.show(task["id"])
    assert (found.why, found.evaluation) == ("Needed for customer renewal review", context["evaluation_id"])
    people.approvals.approve(task["id"], CLEO)
    answer = client.get(path_of(task["status_endpoint"])).json()
    assert answer["task"]["status"] == "approved"
    assert "cleo" not in json.dumps(answer)
    result = answer["result"]
    assert result["mode"] == "reevaluate"
    approval = result["approval"]
    assert set(approval) == {"id", "approved_at", "approved_until", "state"}
    again = evaluate(client, {**asked, "context": {"time": {"now": "2026-04-30T20:43:00Z"}, "approval": approval}})
    assert again["decision"] is True
    assert again["context"]["approval"] == {"id": approval["id"], "approved_until": approval["approved_until"]}
    # The reference alone will do: this service has the record. It holds for two uses.
    del approval["state"]
    assert evaluate(client, presenting(asked, approval))["decision"] is True
    used_up = evaluate(client, presenting(asked, approval))
    assert (used_up["decision"], used_up["context"]["reason"]) == (False, "approval_expired")
    assert used_up["context"]["next_action"] == "request"
    assert used_up["context"]["access_request"]["binding_token"]


def test_an_agent_asks_for_a_tool_from_end_to_end(client: httpx.Client, people: Engine) -> None:
    agent = {"type": "Agent", "id": "renewal_assistant"}
    asked = refund(agent=agent)
    client_ = {"id": "renewal_assistant", "actor": {"id": "renewal_assistant", "type": "ai_agent"}}
    body = submission(client, asked, client={**client_, "source": {"session_id": "s-1"}})
    for actor in ({"id": "somebody_else"}, {"id": agent["id"], "act": {"sub": "somebody_else"}}):
        assert client.post(REQUESTS, json={**body, "client": {"actor": actor}}).status_code == 403
    for actor in ({}, "x", {"id": agent["id"], "act": 7}, {"id": 7}):
        assert client.post(REQUESTS, json={**body, "client": {"actor": actor}}).status_code == 400
    task = client.post(REQUESTS, json=body).json()["task"]
    found = people.approvals.show(task["id"])
    assert found.agents == ('Agent::"renewal_assistant"',)
    assert json.loads(found.client)["source"] == {"session_id": "s-1"}
    people.approvals.approve(task["id"], CLEO)
    approval = client.get(path_of(task["status_endpoint"])).json()["result"]["approval"]
    assert evaluate(client, presenting(refund(), approval))["context"]["reason"] == "out_of_scope"
    assert evaluate(client, presenting(refund(agent={**agent, "id": "x"}), approval))["decision"] is False
    assert evaluate(client, presenting(asked, approval))["decision"] is True


def test_an_actor_may_stand_in_the_subject_or_beside_the_request(client: httpx.Client) -> None:
    act = {"iss": "https://agents.example.com", "sub": "assistant", "sub_profile": "ai_agent"}
    asked = refund(subject={**ANN, "properties": {"roles": [], "act": act}})
    body = submission(client, asked, client={"actor": {"id": "assistant", "issuer": "https://agents.example.com"}})
    assert client.post(REQUESTS, json={**body, "subject": ANN}).status_code == 202


def test_metadata_and_keys(client: httpx.Client) -> None:
    told = client.get("/.well-known/authzen-configuration").json()
    assert told["access_request_endpoint"] == URL + REQUESTS
    assert told["capabilities"] == ["urn:openid:authzen:capability:access-request"]
    keys = client.get(path_of(told["jwks_uri"])).json()["keys"]
    token = evaluate(client, refund())["context"]["access_request"]["binding_token"]
    header = part(token, 0)
    assert header["alg"] == "ES256"
    [key] = [each for each in keys if each["kid"] == header["kid"]]
    assert (key["use"], key["kty"], "d" in key) == ("sig", "EC", False)
    assert jws.deserialize_compact(token, ECKey.import_key(key), algorithms=["ES256"]).payload


def test_without_a_public_https_url_nobody_is_told_to_ask(folder: Path) -> None:
    for url in (None, "http://pdp.example.com"):
        with service(folder, public_url=url, state="memory://") as client:
            denied = evaluate(client, refund())
            assert denied["decision"] is False
            assert denied["context"]["approvals"]
            assert "access_request" not in denied["context"]
            assert "access_request_endpoint" not in client.get("/.well-known/authzen-configuration").json()
            assert client.get("/access/v1/jwks").status_code == 404
            body = {**refund(), "denial": {"binding_token": "x", "expires_at": "2030-01-01T00:00:00Z"}}
            assert problem(client.post(REQUESTS, json=body)) == (400, "not_requestable")


def test_what_is_not_requestable_has_no_hint(client: httpx.Client) -> None:
    for body in (
        refund(40),
        refund(2**53 + 1),
        {**refund(), "action": {"name": "release"}},
        {**refund(), "resource": {"type": "Tool", "id": "other", "properties": {"args": {}}}},
    ):
        assert "access_request" not in evaluate(client, body)["context"]
    assert client.post(EVALUATION, json={**refund(), "approved": ["shop.person"]}).status_code == 400


# ---- bad submissions ----


def _without(name: str) -> Any:
    return lambda body: {key: value for key, value in body.items() if key != name}


def _denial(**changes: Any) -> Any:
    def change(body: dict[str, Any]) -> dict[str, Any]:
        denial = {**body["denial"], **changes}
        return {**body, "denial": {name: value for name, value in denial.items() if value is not None}}

    return change


def _token(change: Any) -> Any:
    return lambda body: _denial(binding_token=change(body["denial"]["binding_token"]))(body)


def _edited(token: str) -> str:
    header, _, signature = token.split(".")
    changed = {**part(token, 1), "rules": []}
    return ".".join((header, urlsafe_b64encode(json.dumps(changed).encode()).decode().rstrip("="), signature))


def _resigned(token: str) -> str:
    key = ECKey.generate_key("P-256", private=True)
    return jws.serialize_compact(part(token, 0), json.dumps(part(token, 1)).encode(), key, algorithms=["ES256"])


def _unsigned(token: str) -> str:
    header = urlsafe_b64encode(json.dumps({"alg": "none", "typ": "policyengine-denial+jwt"}).encode()).decode()
    return f"{header.rstrip('=')}.{token.split('.')[1]}."


@pytest.mark.parametrize(
    "change",
    [
        _without("denial"),
        _denial(binding_token=None),
        _denial(binding_token=None, evaluation_id="eval_guess"),
        _denial(binding_token="nonsense"),
        _denial(evaluation_id="eval_other"),
        _denial(expires_at=None),
        _denial(expires_at="tomorrow"),
        _denial(expires_at="2099-01-01T00:00:00Z"),
        _token(_edited),
        _token(_resigned),
        _token(_unsigned),
        lambda body: {**body, "subject": {**ANN, "id": "bob"}},
        lambda body: {**body, "subject": {"type": "User", "id": "ann"}},
        lambda body: {**body, "subject": {**ANN, "properties": {"roles": ["admin"]}}},
        lambda body: {**body, "action": {"name": "call", "properties": {"soft": True}}},
        lambda body: {**body, "resource": refund(401)["resource"]},
        lambda body: {**body, "resource": {**body["resource"], "id": "other"}},
        lambda body: {**body, "context": {"agent": {"type": "Agent", "id": "bot"}}},
        lambda body: {**body, "context": {"session": "s-2"}},
        lambda body: {**body, "context": {"tenant": {"type": "Tenant", "id": "evil"}}},
    ],
)
def test_what_does_not_belong_to_the_denial_is_refused(client: httpx.Client, change: Any) -> None:
    answer = client.post(REQUESTS, json=change(submission(client, refund())))
    assert problem(answer) == (400, "invalid_denial_binding")


def test_a_denial_is_submitted_once(client: httpx.Client) -> None:
    body = submission(client, refund())
    assert client.post(REQUESTS, json=body).status_code == 202
    assert problem(client.post(REQUESTS, json=body)) == (400, "invalid_denial_binding")


def test_a_denial_expires(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    body = submission(client, refund())
    later = time.time() + 600 + 31
    monkeypatch.setattr("policyengine.server.access.submission.time", lambda: later)
    assert problem(client.post(REQUESTS, json=body)) == (410, "expired_denial")


def test_a_token_that_says_less_than_a_denial_binds_nothing(folder: Path, tmp_path: Path) -> None:
    """Somebody else may sign with the key of this service."""
    key = ECKey.generate_key("P-256", private=True)
    path = tmp_path / "key.json"
    path.write_text(json.dumps(key.as_dict(private=True)), encoding="utf-8")
    with service(folder, approvals={"signing_key_file": path}, state="memory://") as http:
        body = submission(http, refund())
        token = body["denial"]["binding_token"]
        header, claims = part(token, 0), part(token, 1)

        def signed_again(changed: dict[str, Any]) -> dict[str, Any]:
            text = json.dumps(changed).encode()
            return _denial(binding_token=jws.serialize_compact(header, text, key, algorithms=["ES256"]))(body)  # type: ignore[no-any-return]

        for name in sorted(set(claims) - {"iat"}):
            without = {each: value for each, value in claims.items() if each != name}
            for changed in (without, claims | {name: [7]}, claims | {name: None}):
                answer = http.post(REQUESTS, json=signed_again(changed))
                assert (name, *problem(answer)) == (name, 400, "invalid_denial_binding")
        late = signed_again(claims | {"exp": int(time.time()) - 60})
        assert problem(http.post(REQUESTS, json=late)) == (410, "expired_denial")
        assert http.post(REQUESTS, json=signed_again(claims)).status_code == 202


def test_an_approval_is_no_denial_and_a_denial_no_approval(client: httpx.Client, people: Engine) -> None:
    approval = approved(client, people, refund())
    body = _denial(binding_token=approval["state"])(submission(client, refund()))
    assert problem(client.post(REQUESTS, json=body)) == (400, "invalid_denial_binding")
    token = evaluate(client, refund())["context"]["access_request"]["binding_token"]
    refused = evaluate(client, presenting(refund(), {**approval, "state": token}))
    assert refused["context"]["reason"] == "approval_unverifiable"


def test_numbers_are_compared_as_numbers(client: httpx.Client) -> None:
    body, headers = submission(client, refund()), {"Idempotency-Key": "numbers"}
    other = {**body, "resource": refund(400.0)["resource"]}
    [one, same] = [client.post(REQUESTS, json=each, headers=headers).json()["task"]["id"] for each in (other, body)]
    assert one == same


def test_a_bundle_and_what_is_no_submission(client: httpx.Client) -> None:
    assert client.post(REQUESTS, json={**submission(client, refund()), "items": []}).status_code == 400
    assert client.post(REQUESTS, json={"denial": {}}).status_code == 400
    assert client.get(REQUESTS).status_code == 405
    headers = {"Idempotency-Key": "x" * 300}
    assert client.post(REQUESTS, json=submission(client, refund()), headers=headers).status_code == 400


def test_a_denial_of_other_policies_is_not_requestable(folder: Path, client: httpx.Client, tmp_path: Path) -> None:
    body = submission(client, refund())
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "shop.pol").write_text(POLICIES + "\npermit more: release on Output\n", encoding="utf-8")
    (tmp_path / "entities.json").write_text("[]", encoding="utf-8")
    with service(tmp_path, state=f"sqlite:///{folder}/state.db") as other:
        assert problem(other.post(REQUESTS, json=body)) == (400, "not_requestable")


# ---- what has become of it ----


def test_cancelling(client: httpx.Client) -> None:
    task = submitted(client, refund())
    cancel = path_of(task["links"]["cancel"])
    answer = client.post(cancel, json={"reason": "not_needed", "comment": "solved otherwise"})
    assert (answer.status_code, answer.json()["task"]["status"]) == (200, "cancelled")
    assert "links" not in answer.json()["task"]
    assert problem(client.post(cancel)) == (409, "invalid_task_state")
    assert client.get(cancel).status_code == 405
    assert client.get(path_of(task["status_endpoint"])).json()["task"]["status"] == "cancelled"


def test_unknown_tasks(client: httpx.Client) -> None:
    for id_ in ("nonsense", "arq_" + "0" * 32):
        assert problem(client.get(f"{REQUESTS}/{id_}")) == (404, "unknown_task")
        assert problem(client.post(f"{REQUESTS}/{id_}/cancel")) == (404, "unknown_task")


def test_a_rejected_request_has_no_result(client: httpx.Client, people: Engine) -> None:
    task = submitted(client, refund())
    people.approvals.reject(task["id"], CLEO)
    answer = client.get(path_of(task["status_endpoint"])).json()
    assert answer["task"]["status"] == "denied"
    assert "result" not in answer


def test_a_task_is_for_its_tenant_and_only_its_caller_cancels_it(folder: Path, tmp_path: Path) -> None:
    store = Store(tmp_path)
    tenants = Tenants(attribute=None, separator="/", type="Tenant", shared=["Tool", "Group", "User", "Model", "Note"])
    keys = {name: store.new("decide", tenant=tenant) for name, tenant in WHO.items()}
    with service(folder, keys=store.settings, tenants=tenants, state="memory://") as http:
        callers = {
            name: httpx.Client(base_url=http.base_url, headers={"Authorization": f"Bearer {key.text}"}, trust_env=False)
            for name, key in keys.items()
        }
        acme = callers["acme"]
        body = submission(acme, refund())
        assert problem(callers["globex"].post(REQUESTS, json=body)) == (400, "invalid_denial_binding")
        task = acme.post(REQUESTS, json=body).json()["task"]
        status = path_of(task["status_endpoint"])
        assert problem(callers["globex"].get(status)) == (404, "unknown_task")
        assert problem(callers["globex"].post(f"{status}/cancel")) == (404, "unknown_task")
        # Another process of the same tenant may ask, and not cancel.
        assert callers["colleague"].get(status).status_code == 200
        assert callers["colleague"].post(f"{status}/cancel").status_code == 403
        assert httpx.get(f"{http.base_url}{status}", trust_env=False).status_code == 401
        assert acme.post(f"{status}/cancel").json()["task"]["status"] == "cancelled"
        for each in callers.values():
            each.close()


def test_approving_takes_another_scope(folder: Path, tmp_path: Path) -> None:
    store = Store(tmp_path)
    key = store.new("approve")
    with service(folder, keys=store.settings, state="memory://") as http:
        headers = {"Authorization": f"Bearer {key.text}"}
        for method, path in (("POST", REQUESTS), ("GET", f"{REQUESTS}/x"), ("POST", f"{REQUESTS}/x/cancel")):
            assert http.request(method, path, json={}, headers=headers).status_code == 403
        assert http.get("/access/v1/jwks", headers=headers).status_code == 200


WHO = {"acme": "acme", "colleague": "acme", "globex": "globex"}


# ---- evaluating again ----


EVIL = {"type": "Tenant", "id": "evil"}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda asked, given: presenting(refund(401), given), "out_of_scope"),
        (lambda asked, given: presenting(refund(session="s-9"), given), "out_of_scope"),
        (lambda asked, given: presenting(refund(tenant=EVIL), given), "approval_unverifiable"),
        (lambda asked, given: presenting(asked, {"id": given["id"][:-1] + "x"}), "approval_unverifiable"),
        (lambda asked, given: presenting(asked, given | {"state": _edited(given["state"])}), "approval_unverifiable"),
        (lambda asked, given: presenting(asked, given | {"state": _resigned(given["state"])}), "approval_unverifiable"),
        (lambda asked, given: presenting(asked, given | {"state": 7}), "approval_unverifiable"),
        (lambda asked, given: presenting(asked, "apr"), "approval_unverifiable"),
        (lambda asked, given: presenting(asked, None), "approval_unverifiable"),
    ],
)
def test_an_approval_of_something_else_is_none(client: httpx.Client, people: Engine, change: Any, why: str) -> None:
    asked = refund()
    approval = approved(client, people, asked)
    refused = evaluate(client, change(asked, approval))
    assert (refused["decision"], refused["context"]["reason"]) == (False, why)
    asks = why == "out_of_scope"
    assert refused["context"]["next_action"] == ("request" if asks else "none")
    assert ("access_request" in refused["context"]) == asks
    assert evaluate(client, presenting(asked, approval))["decision"] is True


def test_the_state_of_another_approval_is_not_its_own(client: httpx.Client, people: Engine) -> None:
    one, other = approved(client, people, refund()), approved(client, people, refund())
    mixed = evaluate(client, presenting(refund(), {**one, "state": other["state"]}))
    assert mixed["context"]["reason"] == "approval_unverifiable"


def test_a_limit_that_nobody_meters_uses_no_approval(client: httpx.Client, people: Engine) -> None:
    approval = approved(client, people, refund(901))
    denied = evaluate(client, presenting(refund(901), approval))
    assert (denied["decision"], denied["context"]["reasons"]) == (False, ["metering_required"])
    asked = refund(901, metered_limits=True)
    assert evaluate(client, presenting(asked, approval))["decision"] is True


def test_a_batch_signs_no_more_than_sixteen_and_each_item_uses_its_own(client: httpx.Client, people: Engine) -> None:
    items = [refund(200 + number) for number in range(20)]
    answers = client.post(EVALUATIONS, json={"evaluations": items}).json()["evaluations"]
    assert sum("access_request" in each["context"] for each in answers) == 16
    approval = approved(client, people, refund())
    one = presenting(refund(), approval)
    answers = client.post(EVALUATIONS, json={"evaluations": [one, one, refund(40)]}).json()["evaluations"]
    assert [each["decision"] for each in answers] == [True, False, True]
    hinted = client.post(EVALUATIONS, json={**refund(), "evaluations": [{}, {"resource": refund(40)["resource"]}]})
    first = hinted.json()["evaluations"][0]["context"]["access_request"]
    denial = {"binding_token": first["binding_token"], "expires_at": first["expires_at"]}
    assert client.post(REQUESTS, json={**refund(), "denial": denial}).status_code == 202


def test_authorize_says_how_to_ask_and_uses_an_approval(client: httpx.Client, people: Engine) -> None:
    session = client.post("/v1/sessions", json={"subject": ANN}).json()["session"]
    asked = {**refund(), "session": session}
    context = client.post("/v1/authorize", json=asked).json()["context"]
    hint = context["access_request"]
    denial = {"binding_token": hint["binding_token"], "expires_at": hint["expires_at"]}
    task = client.post(REQUESTS, json={**asked, "denial": denial}).json()["task"]
    people.approvals.approve(task["id"], CLEO)
    approval = client.get(path_of(task["status_endpoint"])).json()["result"]["approval"]
    other = client.post("/v1/authorize", json=presenting(refund(), approval)).json()
    assert other["context"]["reason"] == "out_of_scope"
    granted = client.post("/v1/authorize", json=presenting(asked, approval)).json()
    assert (granted["decision"], granted["context"]["approval"]["id"]) == (True, approval["id"])


def test_a_service_that_meters_evaluations_uses_approvals_as_well(folder: Path, people: Engine) -> None:
    with service(folder, evaluation="authorize") as client:
        approval = approved(client, people, refund())
        assert evaluate(client, presenting(refund(), approval))["decision"] is True
        assert evaluate(client, presenting(refund(), approval))["context"]["reason"] == "approval_expired"


@pytest.mark.parametrize("name", ['"approval"', '"\\u0061pproval"', '"approva\\u006C"', '"\\u0061ppro\\u0076al"'])
def test_whatever_waits_for_the_store_is_told_by_its_body(name: str) -> None:
    assert json.loads(name) == "approval"
    assert presents(f'{{"context": {{{name}: 1}}}}'.encode())
    assert not presents(b'{"context": {"time": "\\u00e9"}}')


def test_two_at_once_use_it_once(client: httpx.Client, people: Engine) -> None:
    body = presenting(refund(), approved(client, people, refund()))
    decisions: list[bool] = []
    threads = [threading.Thread(target=lambda: decisions.append(evaluate(client, body)["decision"])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(decisions) == [False, False, False, True]


# ---- telling whoever asked ----


class Receiver(BaseHTTPRequestHandler):
    got: list[tuple[dict[str, str], bytes]]
    first = 503

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["content-length"]))
        self.got.append(({name.lower(): value for name, value in self.headers.items()}, content))
        # The first time it is not taken.
        self.send_response(self.first if len(self.got) == 1 else 204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nothing to say."""


def test_whoever_asked_is_told_of_the_end(folder: Path, people: Engine) -> None:
    received: list[tuple[dict[str, str], bytes]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("R", (Receiver,), {"got": received}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/told"
    secret = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldY"
    closed = f"http://127.0.0.1:{server.server_port}/closed"
    callbacks = [{"url": url, "secret": secret, "internal": True}, {"url": closed, "secret": secret}]
    with service(folder, approvals={"callbacks": callbacks}) as client:
        for endpoint in ("https://evil.example/x", f"{url}/more", closed, 7):
            body = submission(client, refund(), callback={"endpoint": endpoint})
            assert client.post(REQUESTS, json=body).status_code == 400
        task = submitted(client, refund(), callback={"endpoint": url, "state": "mine", "events": ["approved"]})
        people.approvals.approve(task["id"], CLEO)
        deadline = time.monotonic() + 30
        while len(received) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
    server.shutdown()
    headers, content = received[-1]
    assert json.loads(content) == {
        "state": "mine",
        "task": {"id": task["id"], "status": "approved", "status_endpoint": task["status_endpoint"]},
    }
    at = int(headers["webhook-timestamp"])
    proof = signed(secret_key(secret), headers["webhook-id"], at, content)
    assert headers["webhook-signature"] == proof["webhook-signature"]


def test_whoever_is_gone_is_not_told_again(folder: Path, people: Engine) -> None:
    received: list[tuple[dict[str, str], bytes]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("R", (Receiver,), {"got": received, "first": 410}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/told"
    callbacks = [{"url": url, "secret": "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldY", "internal": True}]
    with service(folder, approvals={"callbacks": callbacks}) as client:
        tasks = []
        for count in (1, 2):
            task = submitted(client, refund(), callback={"endpoint": url})
            tasks.append(task["id"])
            people.approvals.approve(task["id"], CLEO)
            deadline = time.monotonic() + 30
            while len(received) < count and time.monotonic() < deadline:
                time.sleep(0.05)
    server.shutdown()
    assert [json.loads(content)["task"]["id"] for _, content in received] == tasks


# ---- keys ----


def test_keys_from_a_file_can_change(folder: Path, tmp_path: Path) -> None:
    old, new = (ECKey.generate_key("P-256", private=True) for _ in range(2))
    path = tmp_path / "key.json"
    path.write_text(json.dumps(old.as_dict(private=True)), encoding="utf-8")
    with service(folder, approvals={"signing_key_file": path}) as client:
        body = submission(client, refund())
    path.write_text(json.dumps({"keys": [new.as_dict(private=True), old.as_dict(private=True)]}), encoding="utf-8")
    with service(folder, approvals={"signing_key_file": path}) as client:
        assert len(client.get("/access/v1/jwks").json()["keys"]) == 2
        assert part(submission(client, refund())["denial"]["binding_token"], 0)["kid"] == new.thumbprint()
        assert client.post(REQUESTS, json=body).status_code == 202
    path.write_bytes(new.as_pem(private=True))
    with service(folder, approvals={"signing_key_file": path}) as client:
        assert problem(client.post(REQUESTS, json=body)) == (400, "invalid_denial_binding")


def test_generated_keys_are_kept_with_the_state(folder: Path, client: httpx.Client) -> None:
    body = submission(client, refund())
    with service(folder) as other:
        assert other.get("/access/v1/jwks").json() == client.get("/access/v1/jwks").json()
        assert other.post(REQUESTS, json=body).status_code == 202


def test_times_are_rfc_3339(client: httpx.Client) -> None:
    context = evaluate(client, refund())["context"]
    at, until = (
        datetime.fromisoformat(context[name] if name in context else context["access_request"][name])
        for name in ("evaluated_at", "expires_at")
    )
    assert until - at == timedelta(minutes=10)
    assert abs(at - datetime.now(UTC)) < timedelta(minutes=1)
