"""Laws of the pipeline: no request goes past a step, whatever its path and method.

authenticate refuses  ⇒  every route answers the refusal, and no handler has run
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.routing import BaseRoute, Mount

from policyengine.callers.caller import ANONYMOUS, Caller
from policyengine.callers.refusal import Refusal
from policyengine.engine import Engine
from policyengine.server.app import create_app
from policyengine.server.pipeline import OTHER, Incoming, Pipeline, Steps
from policyengine.server.record import DecisionRecord
from policyengine.settings.model import Settings
from tests.server.conftest import DATA
from tests.server.serving import EVALUATION, EVALUATIONS
from tests.server.test_certification import BOB, PERMITTED, RECORD, WRITE, ask

FIXTURE = DATA / "certification"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "FOO")
CALLER = Caller("key-1", "key", frozenset({"decide"}))


def _app(**steps: Any) -> Pipeline:
    app = create_app(
        Settings(policies=FIXTURE, entities=FIXTURE / "entities.json", log_level="error", insecure=True), **steps
    )
    app.slot.engine = Engine.load(FIXTURE, entities=FIXTURE / "entities.json")
    return app


def _call(app: Any, *requests: tuple[str, str] | tuple[str, str, dict[str, Any]]) -> list[httpx.Response]:
    async def calls() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return [
                await client.request(method, "http://localhost" + path, **(more[0] if more else {}))
                for method, path, *more in requests
            ]

    return asyncio.run(calls())


def problem(status: int, title: str, detail: str, answer: httpx.Response) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/problem+json"
    identifier = answer.headers["x-request-id"]
    return {"type": "about:blank", "title": title, "status": status, "detail": detail, "request_id": identifier}


def _routes(routes: list[BaseRoute], prefix: str = "") -> Iterator[str]:
    """Every path that the other application has a route for. A kind of route that is not known here fails the test."""
    for route in routes:
        if isinstance(route, Mount):
            yield prefix + route.path + "/x"
            yield from _routes(list(route.routes), prefix + route.path)
        else:
            yield prefix + route.path  # type: ignore[attr-defined]


def _paths(app: Pipeline) -> list[str]:
    rest = app.rest
    while not hasattr(rest, "routes"):
        rest = rest.app  # type: ignore[attr-defined]
    return [*app.questions, *_routes(rest.routes), "/nowhere", "//healthz", "/healthz/", "/access/v1/evaluation/"]


def test_there_are_the_routes_that_the_test_means() -> None:
    found = _paths(_app())
    assert {EVALUATION, EVALUATIONS, "/v1/filter", "/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"} <= {
        *found
    }
    assert len(found) > 15


def test_no_route_goes_past_a_refusal() -> None:
    async def refuse(_: Incoming) -> Refusal:
        return Refusal(401, "who asks?", ((b"www-authenticate", b"Bearer"),))

    app = _app(authenticate=refuse)
    asked = list(itertools.product(METHODS, _paths(app)))
    app.rest = _never  # type: ignore[assignment]
    app.questions = {path: replace(each, handle=_never, direct=_never) for path, each in app.questions.items()}  # type: ignore[arg-type]
    for (method, path), answer in zip(asked, _call(app, *asked), strict=True):
        assert answer.status_code == 401, (method, path)
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.headers["x-request-id"]
        if method != "HEAD":
            assert answer.json() == problem(401, "Unauthorized", "who asks?", answer)


def _never(*_: Any) -> Any:
    raise AssertionError("went past the pipeline")


def test_the_questions_have_no_other_way_in() -> None:
    app = _app()
    rest = app.rest
    for path in app.questions:
        (answer,) = _call(rest, ("POST", path, {"json": PERMITTED}))
        # One path is read there, and said to here.
        assert answer.status_code == (405 if path in app.names else 404), path


def test_a_websocket_is_closed() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    app = _app()
    app.rest = _never  # type: ignore[assignment]
    asyncio.run(app({"type": "websocket", "path": EVALUATION, "headers": []}, _never, send))
    assert sent == [{"type": "websocket.close", "code": 1000}]


def test_steps_see_the_name_of_every_endpoint() -> None:
    seen: dict[str, str] = {}

    async def authenticate(incoming: Incoming) -> Caller:
        seen[incoming.scope["path"]] = incoming.endpoint
        return CALLER

    app = _app(authenticate=authenticate)
    for each in _call(app, *(("GET", path) for path in _paths(app))):
        assert each.status_code in (200, 303, 404, 405)
    assert seen[EVALUATION] == "evaluation"
    assert seen["/healthz"] == "healthz"
    assert seen["/nowhere"] == seen["//healthz"] == seen["/healthz/"] == OTHER
    named = [name for name in seen.values() if name != OTHER]
    assert len(named) == len(set(named)) >= 12


def test_the_limit_is_asked_about_the_caller() -> None:
    asked: list[Caller] = []

    async def authenticate(_: Incoming) -> Caller:
        return CALLER

    async def limit(caller: Caller, incoming: Incoming) -> Refusal | None:
        asked.append(caller)
        return Refusal(429, "later", ((b"retry-after", b"7"),)) if incoming.endpoint == "evaluation" else None

    answers = _call(_app(authenticate=authenticate, limit=limit), ("POST", EVALUATION), ("GET", "/healthz"))
    assert [each.status_code for each in answers] == [429, 200]
    assert answers[0].headers["retry-after"] == "7"
    assert asked == [CALLER, CALLER]


def test_an_error_in_a_step_is_no_way_in() -> None:
    async def broken(_: Incoming) -> Caller:
        raise RuntimeError("the key store is gone")

    app = _app(authenticate=broken)
    app.rest = _never  # type: ignore[assignment]
    answers = _call(app, ("POST", EVALUATION, {"json": PERMITTED}), ("GET", "/readyz"))
    assert [each.status_code for each in answers] == [500, 500]
    assert answers[0].json() == problem(500, "Internal Server Error", "internal error", answers[0])


def test_every_decision_leaves_a_record() -> None:
    kept: list[DecisionRecord] = []

    async def authenticate(_: Incoming) -> Caller:
        return CALLER

    app = _app(authenticate=authenticate)
    app.steps = Steps(app.steps.authenticate, None, (kept.extend,))
    denied = ask(BOB, WRITE, RECORD)
    batch = {"evaluations": [PERMITTED, {"subject": 1}, denied]}
    identifier = {"X-Request-ID": "r-1"}
    _call(
        app,
        ("POST", EVALUATION, {"json": PERMITTED, "headers": identifier}),
        ("POST", EVALUATIONS, {"json": batch, "headers": identifier}),
        ("POST", EVALUATION, {"content": b"{"}),
    )
    assert [(each.endpoint, each.decision.decision) for each in kept] == [
        ("evaluation", "allow"), ("evaluations", "allow"), ("evaluations", "deny")
    ]  # fmt: skip
    assert {each.caller for each in kept} == {CALLER}
    assert {each.request_id for each in kept} == {"r-1"}
    assert kept[2].request["principal"] == {"type": BOB["type"], "id": BOB["id"]}
    with pytest.raises(FrozenInstanceError):
        kept[0].endpoint = "x"  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        CALLER.tenant = None  # type: ignore[misc]


def test_without_steps_everybody_is_anonymous_and_nothing_is_made_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("policyengine.server.pipeline.Incoming", _never)
    monkeypatch.setattr("policyengine.server.pipeline.records", _never)
    made = _app()
    app = Pipeline(made.questions, made.rest, made.names, made.slot, made.tally, made.max_body_bytes)
    seen: list[Caller] = []
    question = app.questions[EVALUATION]

    def handle(engine: Engine, body: bytes, caller: Caller) -> Any:
        seen.append(caller)
        return question.handle(engine, body, caller)

    app.questions = {EVALUATION: replace(question, handle=handle, direct=None)}
    (answer,) = _call(app, ("POST", EVALUATION, {"json": PERMITTED}))
    assert answer.json()["decision"] is True
    # What is asked for the first time is handled again, when its code is there.
    assert seen in ([ANONYMOUS], [ANONYMOUS] * 2)


def test_an_unexpected_error_of_another_route_is_a_500(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("policyengine.server.app.generate_latest", _never)
    (answer,) = _call(_app(), ("GET", "/metrics"))
    assert (answer.status_code, answer.json()["detail"]) == (500, "internal error")
    assert answer.headers["x-request-id"]


def test_a_path_below_a_root_is_the_same_question() -> None:
    async def under(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "root_path": "/pdp", "path": "/pdp" + scope["path"]}, receive, send)

    app = _app()
    answers = _call(under, ("POST", EVALUATION, {"json": PERMITTED}), ("GET", "/healthz"), ("GET", EVALUATION))
    assert [each.status_code for each in answers] == [200, 200, 405]
    assert answers[2].headers["allow"] == "POST"
