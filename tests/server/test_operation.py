"""What the service says about itself: health, metadata, metrics, request ids, OpenAPI, log lines, start and failure."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import BaseModel, ValidationError

from policyengine.authzen import answers, requests
from policyengine.engine import Engine
from policyengine.server import log
from policyengine.server.app import create_app
from policyengine.settings.loading import load
from policyengine.settings.model import Certificate, Claims, Issuer, KeySettings, Limits, Settings, Tenants
from tests.server.conftest import DATA
from tests.server.serving import EVALUATION, EVALUATIONS, SEARCH_ACTION, SEARCH_RESOURCE, SEARCH_SUBJECT, serving
from tests.server.test_certification import BOB, PERMITTED, RECORD, WRITE, ask
from tests.support.paths import ROOT

FIXTURE = DATA / "certification"


# ---- request ids ----


@pytest.mark.parametrize("sent", ["1", "bfe9eb29-ab87-4ca3-be83-a1d5d8305716", "a b/c:d=e+f", "x" * 200])
def test_a_usable_request_id_comes_back(certification: httpx.Client, sent: str) -> None:
    for response in (
        certification.post(EVALUATION, json=PERMITTED, headers={"X-Request-ID": sent}),
        certification.post(EVALUATION, content=b"", headers={"X-Request-ID": sent}),
        certification.get("/healthz", headers={"X-Request-ID": sent}),
        certification.get("/nowhere", headers={"X-Request-ID": sent}),
    ):
        assert response.headers.get_list("X-Request-ID") == [sent]


@pytest.mark.parametrize("sent", [b"x" * 201, b"a\tb", b"\xc3\xa9", b""])
def test_any_other_is_replaced(certification: httpx.Client, sent: bytes) -> None:
    response = certification.post(EVALUATION, json=PERMITTED, headers=[(b"X-Request-ID", sent)])
    assert response.status_code == 200
    assert response.headers["X-Request-ID"].encode("latin-1") != sent


def test_generated_request_ids_differ(certification: httpx.Client) -> None:
    seen = {certification.get("/healthz").headers["X-Request-ID"] for _ in range(20)}
    assert len(seen) == 20


# ---- health and metadata ----


def test_health(certification: httpx.Client) -> None:
    assert certification.get("/healthz").json() == {"status": "ok"}
    revision = certification.post(EVALUATION, json=PERMITTED).json()["context"]["revision"]
    assert revision
    assert certification.get("/readyz").json() == {"status": "ready", "revision": revision}


def test_nothing_is_answered_before_the_first_load() -> None:
    """An application that has not been started has loaded nothing."""
    app = create_app(Settings(policies=FIXTURE, log_level="error", insecure=True))

    async def calls() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://pdp") as client:
            return [
                await client.get("/readyz"),
                await client.post(EVALUATION, json=PERMITTED),
                await client.get("/.well-known/authzen-configuration"),
            ]

    answers = asyncio.run(calls())
    assert [each.status_code for each in answers] == [503, 503, 503]
    assert answers[0].json() == {"status": "loading"}
    assert "decision" not in answers[1].json()


def test_invalid_policies_do_not_start(tmp_path: Path) -> None:
    (tmp_path / "broken.pol").write_text("permit ((", encoding="utf-8")
    with pytest.raises(RuntimeError, match="did not start"), serving(tmp_path):
        pass


def test_policies_that_fail_their_tests_do_not_start_behind_the_gate(tmp_path: Path) -> None:
    case = 'test "t" {\n  principal user::"a"\n  read on user::"b"\n  expect allow\n}\n'
    text = f"module m\nentity user\naction read on user\n{case}"
    (tmp_path / "m.pol").write_text(text, encoding="utf-8")
    with serving(tmp_path) as client:
        assert client.get("/readyz").json()["status"] == "ready"
    with pytest.raises(RuntimeError, match="did not start"), serving(tmp_path, gate="tests"):
        pass


def test_the_public_url_is_the_base_of_the_metadata() -> None:
    with serving(FIXTURE, public_url="https://pdp.example.com/tenant1/") as client:
        assert client.get("/.well-known/authzen-configuration").status_code == 404
        assert client.get("/.well-known/authzen-configuration/tenant1").json() == {
            "policy_decision_point": "https://pdp.example.com/tenant1",
            "access_evaluation_endpoint": "https://pdp.example.com/tenant1/access/v1/evaluation",
            "access_evaluations_endpoint": "https://pdp.example.com/tenant1/access/v1/evaluations",
            "search_subject_endpoint": "https://pdp.example.com/tenant1/access/v1/search/subject",
            "search_resource_endpoint": "https://pdp.example.com/tenant1/access/v1/search/resource",
            "search_action_endpoint": "https://pdp.example.com/tenant1/access/v1/search/action",
            "supported_obligations": [],
            "access_request_endpoint": "https://pdp.example.com/tenant1/access/v1/requests",
            "jwks_uri": "https://pdp.example.com/tenant1/access/v1/jwks",
            "capabilities": ["urn:openid:authzen:capability:access-request"],
        }


@pytest.mark.parametrize("url", ["ftp://x", "pdp.example.com", "https://x/?q=1", "https://x/#f", "https://"])
def test_a_public_url_that_is_none(url: str) -> None:
    with pytest.raises(ValidationError):
        Settings(policies=FIXTURE, public_url=url)


def test_every_setting_that_is_no_option_is_documented() -> None:
    options = {"policies", "entities", "gate", "reload", "log_format", "insecure"}
    documented = set(re.findall(r"`POLICYENGINE_(\w+)` \|", (ROOT / "README.md").read_text(encoding="utf-8")))
    assert documented == {name.upper() for name in Settings.model_fields.keys() - options}


@pytest.mark.parametrize("part", [KeySettings, Issuer, Claims, Certificate, Tenants, Limits])
def test_every_setting_of_a_part_is_documented(part: type[BaseModel]) -> None:
    documented = set(re.findall(r"^\| `([a-z_]+)` \|", (ROOT / "docs" / "callers.md").read_text("utf-8"), re.M))
    assert set(part.model_fields) <= documented


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"POLICIES": "p", "GATE": "tests", "RELOAD": "false", "MAX_BODY_BYTES": "9"}.items():
        monkeypatch.setenv(f"POLICYENGINE_{name}", value)
    settings = load()
    assert (settings.policies, settings.gate, settings.reload, settings.max_body_bytes) == (
        Path("p"),
        "tests",
        False,
        9,
    )


def test_a_setting_that_is_wrong_ends_the_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"POLICIES": "p", "MAX_PAGE": "x", "PAGE_KEY": "short"}.items():
        monkeypatch.setenv(f"POLICYENGINE_{name}", value)
    with pytest.raises(SystemExit) as ended:
        create_app()
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "error: `max_page`: " in said
    assert "error: `page_key`: " in said
    assert "short" not in said.replace("shorter", "")


# ---- OpenAPI ----


def test_the_page_of_the_api_loads_nothing_from_elsewhere(certification: httpx.Client) -> None:
    page = certification.get("/docs").text
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert any(path.endswith("swagger-ui-bundle.js") for path in loaded)
    for path in loaded:
        assert certification.get(path).status_code == 200, path
    assert "https://" not in page
    assert certification.get("/redoc").status_code == 404


def test_every_schema_is_there(certification: httpx.Client) -> None:
    document = certification.get("/openapi.json").json()
    schemas = document["components"]["schemas"]
    for reference in _references(document):
        assert reference.removeprefix("#/components/schemas/") in schemas
    assert schemas["EvaluationRequest"]["required"] == ["subject", "action", "resource"]


def test_the_examples_are_requests_and_answers(certification: httpx.Client) -> None:
    document = certification.get("/openapi.json").json()
    models = {
        EVALUATION: (requests.EvaluationRequest, answers.EvaluationResponse),
        EVALUATIONS: (requests.EvaluationsRequest, answers.EvaluationsResponse),
        SEARCH_SUBJECT: (requests.SubjectSearchRequest, answers.EntitySearchResponse),
        SEARCH_RESOURCE: (requests.ResourceSearchRequest, answers.EntitySearchResponse),
        SEARCH_ACTION: (requests.ActionSearchRequest, answers.ActionSearchResponse),
        "/v1/filter": (requests.FilterRequest, answers.FilterResponse),
    }
    for path, (request, response) in models.items():
        operation = document["paths"][path]["post"]
        for example in operation["requestBody"]["content"]["application/json"]["examples"].values():
            request.model_validate(example["value"])
            assert certification.post(path, json=example["value"]).status_code == 200
        response.model_validate(operation["responses"]["200"]["content"]["application/json"]["example"])


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if "$ref" in value else []
        return own + [found for each in value.values() for found in _references(each)]
    if isinstance(value, list):
        return [found for each in value for found in _references(each)]
    return []


# ---- metrics and log lines ----


def test_metrics() -> None:
    with serving(FIXTURE, entities=FIXTURE / "entities.json") as client:
        client.post(EVALUATION, json=PERMITTED)
        client.post(EVALUATIONS, json={"evaluations": [PERMITTED, ask(BOB, WRITE, RECORD), {}]})
        client.post(EVALUATION, content=b"")
        text = client.get("/metrics").text
    for line in (
        'policyengine_decisions_total{decision="allow"} 2.0',
        'policyengine_decisions_total{decision="deny"} 1.0',
        'policyengine_decisions_total{decision="error"} 1.0',
        'policyengine_requests_total{endpoint="evaluation",status="400"} 1.0',
        'policyengine_requests_total{endpoint="evaluations",status="200"} 1.0',
        'policyengine_request_seconds_count{endpoint="evaluation"} 2.0',
    ):
        assert line in text.splitlines()


def test_a_decision_is_logged_without_attributes(capfd: pytest.CaptureFixture[str]) -> None:
    request = {**PERMITTED, "subject": {"type": "user", "id": "alice", "properties": {"secret": "hunter2"}}}
    with serving(FIXTURE, log_level="info", decision_log="info") as client:
        client.post(EVALUATION, json=request, headers={"X-Request-ID": "r-1"})
    text = capfd.readouterr().err
    assert "hunter2" not in text
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    (line,) = [each for each in lines if each["event"] == "decision"]
    assert line["decision"] == "allow"
    assert line["principal"] == {"type": "user", "id": "alice"}
    assert line["request_id"] == "r-1"
    assert line["revision"]
    assert line["determining"]


def test_an_unexpected_error_is_a_500_without_a_decision(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise ValueError("the value of a request")

    # Before it is made: an engine has something faster in the place of its own method, and of no other.
    monkeypatch.setattr(Engine, "decide", broken)
    with serving(FIXTURE) as client:
        response = client.post(EVALUATION, json=PERMITTED, headers={"X-Request-ID": "r-2"})
    assert response.status_code == 500
    assert response.json()["detail"] == "internal error"
    assert response.headers["X-Request-ID"] == "r-2"


def test_lines_about_access_are_put_together_only_where_they_are_written() -> None:
    """uvicorn does so for every logger that has handlers, which takes longer than a decision."""
    for level, wanted in (("debug", True), ("info", False), ("warning", False)):
        log.configure("json", level)  # type: ignore[arg-type]
        assert logging.getLogger("uvicorn.access").hasHandlers() is wanted


def test_a_proxy_is_believed_about_the_scheme_if_it_is_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    for trusted, scheme in (("127.0.0.1", "https"), ("10.0.0.1", "http")):
        monkeypatch.setenv("FORWARDED_ALLOW_IPS", trusted)
        with serving(FIXTURE) as client:
            found = client.get("/.well-known/authzen-configuration", headers={"X-Forwarded-Proto": "https"}).json()
            assert found["policy_decision_point"].startswith(f"{scheme}://")
