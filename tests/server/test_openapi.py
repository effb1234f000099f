"""The OpenAPI document describes what the service answers: every endpoint, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.routing import Mount, Route

from policyengine.authzen.openapi_operations import OPERATIONS
from policyengine.server.access import html
from policyengine.server.app import create_app
from policyengine.server.authorize import _RESERVATIONS
from policyengine.server.pipeline import Pipeline
from policyengine.settings.model import Settings
from tests.server.serving import serving
from tests.support.paths import ROOT

FIXTURE = ROOT / "tests" / "data" / "authzen" / "certification"
# Pages for people, and what they load; and the document itself.
PAGES = {html.PATH, html.TASK, html.SIGN_IN, "/docs", "/docs/oauth2-redirect", "/openapi.json"}
# What is there of operations is in a store or a token that the example only stands for.
NOT_THERE = {
    "/v1/results": 404, "/access/v1/requests": 400, "/access/v1/jwks": 404,
    # A service that answers anybody has no keys.
    **dict.fromkeys(("/v1/admin/keys", *(f"/v1/admin/keys/{what}" for what in ("rotate", "revoke", "check"))), 404),
}  # fmt: skip


@pytest.fixture(scope="module")
def app() -> Pipeline:
    return create_app(Settings(policies=FIXTURE, log_level="error", insecure=True))


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    policies: Path = tmp_path_factory.mktemp("openapi")
    (policies / "m.pol").write_text("module m\nuse ai\npermit all: retrieve on Document\n", encoding="utf-8")
    with serving(policies) as client:
        yield client


@pytest.fixture(scope="module")
def document(client: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/openapi.json").json()
    return found


def answered(app: Pipeline) -> set[tuple[str, str]]:
    """The method and the path of each endpoint."""
    rest = app.rest
    while not hasattr(rest, "routes"):
        rest = rest.app  # type: ignore[attr-defined]
    found = {("post", path) for path in app.questions}
    found |= {("post", f"/v1/reservations/{{id}}/{what}") for what in _RESERVATIONS}
    found.add(("post", "/access/v1/requests/{id}/cancel"))
    for route in rest.routes:
        # A kind of route that is not known here fails the test.
        assert isinstance(route, Route | Mount)
        if isinstance(route, Route) and route.path not in PAGES:
            found |= {(method.lower(), route.path) for method in route.methods or () if method != "HEAD"}
    return found


def test_every_endpoint_is_described_and_no_other(app: Pipeline, document: dict[str, Any]) -> None:
    described = {(method, path) for path, methods in document["paths"].items() for method in methods}
    assert described == answered(app)
    assert ("post", "/v1/explain") in described
    for path in (f"/v1/reservations/r/{what}" for what in _RESERVATIONS):
        assert app.family(path) is not None
    assert app.family("/access/v1/requests/t/cancel") is not None


def test_no_two_operations_have_one_name(document: dict[str, Any]) -> None:
    names = [each["operationId"] for methods in document["paths"].values() for each in methods.values()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("one", OPERATIONS, ids=lambda one: f"{one.method} {one.path}")
def test_the_examples_are_understood(client: httpx.Client, one: Any) -> None:
    """What is sent is not a malformed request, and an answer has the members that are described."""
    path = one.path.replace("{id}", "x")
    for body in (one.examples or {"": None}).values():
        answer = client.request(one.method, path, **({} if body is None else {"json": body}))
        missing = 404 if "{id}" in one.path or "/v1/usage" in path else 200
        assert answer.status_code == NOT_THERE.get(path, missing), answer.text
        if answer.status_code == 200:
            assert set(one.response.get("required", ())) <= answer.json().keys()
        assert set(one.response.get("required", ())) <= one.example.keys()
