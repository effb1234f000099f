"""The clients: what a service decides, they say; what it does not say is a denial."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
import uvicorn
from fastapi import Depends, FastAPI

from policyengine.callers.api_key import ApiKey
from policyengine.client import AsyncClient, Client, Unavailable
from policyengine.client.asgi import PUBLIC, Enforce
from policyengine.client.fastapi import allowed
from policyengine.engine import Engine
from policyengine.guard import Denied, guard
from policyengine.server.app import create_app
from policyengine.settings.model import Settings
from tests.server.serving import serving
from tests.support.key_file import Store

POLICIES = """module m

use ai

permit own: retrieve on Document for User
  when document.owner == principal.id

permit release: release on Output

require scrub: release on Output
  redact(["email"])

permit ask: invoke on Model

limit rate: invoke on Model
  at most 60 requests per 1m by principal

forbid held: retrieve on Document
  when "hold" in document.labels
  because "the document is held"
"""
ANN = {"type": "User", "id": "ann", "tenant": "acme"}


def document(id_: str = "d1", owner: str = "ann", **more: Any) -> dict[str, Any]:
    return {"type": "Document", "id": id_, "owner": owner, "labels": [], **more}


ENTITIES = [document(f"d{i}", "ann" if i % 2 else "bob") for i in range(9)]
REQUESTS: list[dict[str, Any]] = [
    {"principal": ANN, "action": "retrieve", "resource": document("x")},
    {"principal": ANN, "action": "retrieve", "resource": document("x", owner="bob")},
    {"principal": ANN, "action": "retrieve", "resource": document("x", labels=["hold"])},
    {"principal": ANN, "action": "retrieve", "resource": {"type": "Document", "id": "x"}},
    {"principal": ANN, "action": "release", "resource": {"type": "Output", "id": "o"}},
    {"principal": ANN, "action": {"name": "retrieve"}, "resource": document("x"), "context": {}},
    {"principal": ANN, "action": "invoke", "resource": {"type": "Model", "id": "m"}},
    {"principal": {**ANN, "parents": [{"type": "Group", "id": "g"}]}, "action": "retrieve", "resource": document("x")},
    {"principal": ANN, "action": "nothing", "resource": document("x")},
]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("policies")
    (path / "m.pol").write_text(POLICIES)
    (path / "entities.json").write_text(json.dumps(ENTITIES))
    return path


@pytest.fixture(scope="module")
def engine(directory: Path) -> Engine:
    return Engine.load(directory, entities=directory / "entities.json", cache=False)


@pytest.fixture(scope="module")
def service(directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, ApiKey]]:
    store = Store(tmp_path_factory.mktemp("keys"))
    key = store.new("decide", "search", "filter")
    with serving(directory, entities=directory / "entities.json", keys=store.settings, max_page=2) as client:
        yield str(client.base_url), key


@pytest.fixture
def client(service: tuple[str, ApiKey]) -> Iterator[Client]:
    with Client(service[0], credential=service[1].text) as made:
        yield made


def run(call: Callable[[AsyncClient], Any], url: str, **settings: Any) -> Any:
    async def calls() -> Any:
        async with AsyncClient(url, **settings) as made:
            return await call(made)

    return asyncio.run(calls())


def test_a_client_decides_as_the_engine_does(client: Client, engine: Engine, service: tuple[str, ApiKey]) -> None:
    for asked in REQUESTS:
        asked = {**asked, "metered": True}
        there, here = client.decide(**asked), engine.decide(**asked)
        async_there = run(lambda made, asked=asked: made.decide(**asked), service[0], credential=service[1].text)
        assert there == async_there
        assert (there.decision, there.determining, there.reasons) == (here.decision, here.determining, here.reasons)
        assert (there.obligations, there.limits, there.labels) == (here.obligations, here.limits, here.labels)
        assert [(e.rule, e.code, e.message) for e in there.errors] == [(e.rule, e.code, e.message) for e in here.errors]
        assert (there.allowed, there.revision) == (here.allowed, here.revision)


def test_many_is_each(client: Client, service: tuple[str, ApiKey]) -> None:
    each = [client.decide(**asked) for asked in REQUESTS]
    metered = [{**asked, "metered": True} for asked in REQUESTS]
    assert client.decide_many(metered) == [client.decide(**asked) for asked in metered] != each
    assert client.decide_many(REQUESTS) == each
    assert run(lambda made: made.decide_many(REQUESTS), service[0], credential=lambda: service[1].text) == each
    assert client.decide_many([]) == []


def test_what_is_owed_and_metered_is_not_allowed_for_nothing(client: Client) -> None:
    released = client.decide(**REQUESTS[4])
    assert (released.decision, released.allowed, released.obligations[0].type) == ("allow", False, "redact")
    assert not client.decide(**REQUESTS[6]).allowed
    assert client.decide(**REQUESTS[6], metered=True).allowed
    assert client.decide(**REQUESTS[6], metered=["m.rate"]).allowed
    assert not client.decide(**REQUESTS[6], metered=["m.other"]).allowed
    assert not client.decide(**REQUESTS[0], approved=["m.own"]).allowed


def test_searches_read_every_page(client: Client, engine: Engine, service: tuple[str, ApiKey]) -> None:
    asked: dict[str, Any] = {"principal": ANN, "action": "retrieve", "resource_type": "Document"}
    found = engine.search_resources(**asked)
    assert len(found) > 2
    assert client.search_resources(**asked) == found
    assert run(lambda made: made.search_resources(**asked), service[0], credential=service[1].text) == found
    of_one: dict[str, Any] = {"principal": ANN, "resource": document()}
    assert client.search_actions(**of_one) == engine.search_actions(**of_one)
    who: dict[str, Any] = {"principal_type": "User", "action": "retrieve", "resource": document()}
    assert client.search_principals(**who) == engine.search_principals(**who)


def test_a_filter_is_what_a_store_takes(client: Client) -> None:
    backend = {"store": "sqlite", "columns": {"owner": "owner", "labels": {"json": "labels"}}}
    found = client.filter(principal=ANN, action="retrieve", resource_type="Document", backend=backend)
    assert found.kind == "conditional"
    assert found.query is not None
    assert set(found.query) == {"where", "params"}


# ---- fail-closed ----


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(200, content=b""), httpx2.Response(200, content=b"null"), httpx2.Response(200, json={}),
        httpx2.Response(200, json={"decision": True}), httpx2.Response(200, content=b"<html>"),
        httpx2.Response(200, json={"decision": "true", "context": {"revision": ""}}),
        httpx2.Response(200, json={"decision": 1, "context": {"revision": ""}}),
        httpx2.Response(200, content=b'{"decision": false, "decision": true, "context": {"revision": ""}}'),
        httpx2.Response(
            200, json={"decision": True, "context": {"revision": "", "error": {"status": 500, "message": "x"}}}
        ),
        httpx2.Response(201, json={"decision": True, "context": {"revision": ""}}), httpx2.Response(204),
        httpx2.Response(301, headers={"location": "http://evil.example"}), httpx2.Response(401), httpx2.Response(403),
        httpx2.Response(500, json={"decision": True, "context": {"revision": ""}}), httpx2.Response(503),
        httpx2.Response(200, json={"evaluations": []}),
        httpx2.Response(200, json={"evaluations": [{"decision": True, "context": {"revision": ""}}] * 2}),
    ],
    ids=range(18),
)  # fmt: skip
def test_what_is_no_answer_is_a_denial(answer: httpx2.Response) -> None:
    def handle(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(answer.status_code, headers=answer.headers, content=answer.content)

    with Client("http://pdp", transport=httpx2.MockTransport(handle), attempts=1) as client:
        decision = client.decide(**REQUESTS[0])
        assert (decision.decision, decision.allowed) == ("deny", False)
        assert decision.errors[0].code == "unavailable"
        assert not any(each.allowed for each in client.decide_many(REQUESTS[:1]))
        with pytest.raises(Unavailable):
            client.search_actions(principal=ANN, resource=document())


@pytest.mark.parametrize(
    "asked",
    [
        {"principal": None}, {"principal": 7}, {"action": {}},
        {"resource": {"type": "Document", "id": "x", "o": object()}},
        {"context": {"x": float("nan")}}, {"resource": {"type": "Document", "id": "\ud800"}},
    ],
    ids=range(6),
)  # fmt: skip
def test_what_is_no_request_is_a_denial(client: Client, asked: dict[str, Any]) -> None:
    assert client.decide(**{**REQUESTS[0], **asked}).decision == "deny"
    assert [each.decision for each in client.decide_many([{**REQUESTS[0], **asked}])] == ["deny"]


def test_nobody_there_is_a_denial_in_time() -> None:
    def no_credential() -> str:
        raise RuntimeError("expired")

    with Client("http://127.0.0.1:9", timeout=0.5) as client:
        assert client.decide(**REQUESTS[0]).errors[0].code == "unavailable"
    with Client("http://127.0.0.1:9", credential=no_credential) as client:
        assert client.decide(**REQUESTS[0]).decision == "deny"
    assert run(lambda made: made.decide(**REQUESTS[0]), "http://127.0.0.1:9", timeout=0.5).decision == "deny"


def test_it_tries_again_what_may_help_and_waits_as_it_is_told() -> None:
    asked: list[float] = []

    def handle(_: httpx2.Request) -> httpx2.Response:
        asked.append(time.monotonic())
        if len(asked) == 1:
            raise httpx2.ConnectError("gone")
        if len(asked) == 2:
            return httpx2.Response(503, headers={"retry-after": "1"})
        return httpx2.Response(200, json={"decision": True, "context": {"revision": "r"}})

    with Client("http://pdp", transport=httpx2.MockTransport(handle), timeout=30.0) as client:
        assert client.decide(**REQUESTS[0]).allowed
    assert len(asked) == 3
    assert asked[2] - asked[1] >= 1.0


@pytest.mark.parametrize(("status", "tries"), [(400, 1), (401, 1), (403, 1), (500, 1), (429, 3), (503, 3)])
def test_it_does_not_try_again_what_does_not(status: int, tries: int) -> None:
    asked: list[int] = []

    def handle(_: httpx2.Request) -> httpx2.Response:
        asked.append(1)
        return httpx2.Response(status)

    with Client("http://pdp", transport=httpx2.MockTransport(handle)) as client:
        assert not client.decide(**REQUESTS[0])
    assert len(asked) == tries


def test_a_wait_beyond_the_deadline_is_not_begun() -> None:
    asked: list[int] = []

    def handle(_: httpx2.Request) -> httpx2.Response:
        asked.append(1)
        return httpx2.Response(503, headers={"retry-after": "600"})

    with Client("http://pdp", transport=httpx2.MockTransport(handle), timeout=2.0) as client:
        assert not client.decide(**REQUESTS[0])
    assert len(asked) == 1


# ---- a Unix socket, guard, ASGI, FastAPI ----


def test_over_a_unix_socket(directory: Path, tmp_path: Path) -> None:
    socket = str(tmp_path / "s")
    app = create_app(Settings(policies=directory, reload=False, log_level="error", insecure=True))
    server = uvicorn.Server(uvicorn.Config(app, uds=socket, log_config=None, proxy_headers=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        with Client("http://localhost", uds=socket) as client:
            assert client.decide(**REQUESTS[0]).allowed
        assert run(lambda made: made.decide(**REQUESTS[0]), "http://localhost", uds=socket).allowed
    finally:
        server.should_exit = True
        thread.join()


def test_guard_takes_a_client_as_it_takes_an_engine(
    client: Client, engine: Engine, service: tuple[str, ApiKey]
) -> None:
    for decides in (client, engine):

        @guard(decides, principal=ANN, action="retrieve", resource=lambda call: document("new", owner=call["owner"]))
        def read(owner: str) -> str:
            return owner

        assert read("ann") == "ann"
        with pytest.raises(Denied):
            read("bob")

    async def calls() -> None:
        async with AsyncClient(service[0], credential=service[1].text) as made:

            @guard(made, principal=ANN, action="retrieve", resource=lambda call: document("new", owner=call["owner"]))
            async def read(owner: str) -> str:
                return owner

            assert await read("ann") == "ann"
            with pytest.raises(Denied):
                await read("bob")

    asyncio.run(calls())


def test_a_plain_function_is_not_guarded_by_what_has_to_be_awaited() -> None:
    ran: list[int] = []

    class Later:
        def decide(self, **_: Any) -> Any:
            async def never() -> None: ...

            coroutine = never()
            coroutine.close()
            return coroutine

    @guard(Later(), principal=ANN, action="retrieve", resource=document())
    def read() -> None:
        ran.append(1)

    with pytest.raises(TypeError):
        read()
    assert not ran


def asked(path: str) -> Any:
    if path == "/open":
        return PUBLIC
    if path == "/none":
        return None
    if path == "/broken":
        raise KeyError(path)
    return {"principal": ANN, "action": "retrieve", "resource": document("new", owner=path[1:])}


def through(app: Any, *paths: str) -> list[int]:
    async def calls() -> list[int]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
            return [(await client.get(path)).status_code for path in paths]

    return asyncio.run(calls())


def test_the_middleware_and_the_dependency_let_through_what_is_allowed(service: tuple[str, ApiKey]) -> None:
    inner = FastAPI()

    @inner.get("/{name}")
    async def anything(name: str) -> str:
        return name

    pdp = AsyncClient(service[0], credential=service[1].text)
    outer = Enforce(inner, pdp, lambda scope: asked(scope["path"]))
    assert through(outer, "/ann", "/bob", "/open", "/none", "/broken") == [200, 403, 200, 403, 403]

    pdp = AsyncClient(service[0], credential=service[1].text)
    app = FastAPI()

    @app.get("/{name}", dependencies=[Depends(allowed(pdp, lambda request: asked(request.url.path)))])
    async def one(name: str) -> str:
        return name

    assert through(app, "/ann", "/bob", "/none", "/broken") == [200, 403, 403, 403]
