"""Explanations, and what administrators ask, by both clients: as the engine and the store have it, or Unavailable."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from policyengine.callers.api_key import ApiKey, parse
from policyengine.client import AsyncClient, Client, Unavailable
from policyengine.engine import Engine
from tests.client.test_client import ANN, POLICIES, document, run
from tests.server.serving import serving
from tests.support.key_file import Store

Asked = Callable[..., Any]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("policies")
    (path / "m.pol").write_text(POLICIES)
    return path


@pytest.fixture(scope="module")
def service(directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, ApiKey, ApiKey]]:
    store = Store(tmp_path_factory.mktemp("keys"))
    keys = store.new("admin", "explain", "decide"), store.new("decide")
    with serving(directory, keys=store.settings) as client:
        yield str(client.base_url), *keys


@pytest.fixture(params=["plain", "async"])
def ask(request: pytest.FixtureRequest, service: tuple[str, ApiKey, ApiKey]) -> Asked:
    """Asks `path` of a client, such as `admin.keys`, with a credential that is good if nothing is said."""

    def plain(path: str, *args: Any, credential: str = service[1].text, **kwargs: Any) -> Any:
        with Client(service[0], credential=credential, timeout=30) as client:
            return _found(client, path)(*args, **kwargs)

    def later(path: str, *args: Any, credential: str = service[1].text, **kwargs: Any) -> Any:
        return run(lambda client: _found(client, path)(*args, **kwargs), service[0], credential=credential, timeout=30)

    return plain if request.param == "plain" else later


def _found(client: Any, path: str) -> Any:
    for name in path.split("."):
        client = getattr(client, name)
    return client


def test_a_client_explains_as_the_engine_does(ask: Asked, directory: Path) -> None:
    asked = {"principal": ANN, "action": "retrieve", "resource": document("x", labels=["hold"])}
    found = ask("explain", **asked)
    here = Engine.load(directory, cache=False).explain(**asked)
    assert found.decision["decision"] == here.decision.decision == "deny"
    assert found.why == here.why
    assert [each["entity"] for each in found.actors] == [{"type": "User", "id": "ann"}]
    assert not found.withheld
    metered = {"principal": ANN, "action": "invoke", "resource": {"type": "Model", "id": "m"}}
    assert [ask("explain", **metered, metered=each).decision["decision"] for each in ((), True)] == ["deny", "allow"]


def test_a_key_is_made_rotated_checked_and_revoked(ask: Asked) -> None:
    made = ask("admin.create_key", "gateway", ["decide"], tenant="acme", addresses=["10.0.0.0/8"], seconds=60)
    assert parse(made.key) is not None
    assert made.key not in repr(made)
    assert (made.tenant, made.addresses, made.state) == ("acme", ["10.0.0.0/8"], "good")
    assert made.id in {each.id for each in ask("admin.keys")}
    rotated = ask("admin.rotate_key", made.id)
    assert (rotated.id, rotated.secrets) == (made.id, 2)
    assert ask("admin.check_key", rotated.key, address="10.1.1.1").state == "good"
    assert ask("admin.check_key", rotated.key, address="11.1.1.1").state == "not from this address"
    assert ask("admin.revoke_key", made.id).state == "revoked"
    verdict = ask("admin.check_key", made.key)
    assert (verdict.state, verdict.key.id) == ("revoked", made.id)


def test_the_policies_are_read_again(ask: Asked, directory: Path) -> None:
    before = ask("admin.reload")
    assert (before.status, before.diagnostics) == ("ready", None)
    (directory / "m.pol").write_text("permit ((", encoding="utf-8")
    broken = ask("admin.reload")
    assert (broken.status, broken.revision) == ("degraded", before.revision)
    assert broken.diagnostics
    (directory / "m.pol").write_text(POLICIES, encoding="utf-8")
    assert ask("admin.reload") == before


def test_what_is_from_before_is_void(ask: Asked) -> None:
    first = ask("admin.void", "restored from a backup")
    assert ask("admin.void") > first > 1.7e9


def test_what_is_refused_raises_and_says_why(ask: Asked, service: tuple[str, ApiKey, ApiKey]) -> None:
    refused: dict[str, tuple[Any, ...]] = {
        "the scope `admin` is required": ("admin.keys",),
        "the scope `explain` is required": ("explain",),
    }
    for detail, (path, *args) in refused.items():
        asked = {"principal": ANN, "action": "retrieve", "resource": document()} if path == "explain" else {}
        with pytest.raises(Unavailable) as found:
            ask(path, *args, credential=service[2].text, **asked)
        assert (found.value.status, found.value.detail) == (403, detail)
    with pytest.raises(Unavailable) as none:
        ask("admin.revoke_key", "000000000000")
    assert (none.value.status, none.value.detail, none.value.again) == (404, "no key has that id", False)
    with pytest.raises(Unavailable):
        ask("explain", principal=ANN, action="retrieve", resource=document(owner=float("nan")))


@pytest.mark.parametrize(
    ("path", "args", "tries"),
    [
        ("create_key", ("k", ["decide"]), 1),
        ("rotate_key", ("k",), 1),
        ("revoke_key", ("k",), 3),
        ("keys", (), 3),
        ("void", (), 1),
    ],
)
def test_what_changes_something_each_time_is_sent_once(path: str, args: tuple[Any, ...], tries: int) -> None:
    sent: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        sent.append(request.method)
        return httpx2.Response(503)

    transport = httpx2.MockTransport(answer)
    with Client("http://pdp", transport=transport, timeout=30) as plain, pytest.raises(Unavailable):
        getattr(plain.admin, path)(*args)
    assert len(sent) == tries

    def later(client: AsyncClient) -> Any:
        return getattr(client.admin, path)(*args)

    with pytest.raises(Unavailable):
        run(later, "http://pdp", transport=transport, timeout=30)
    assert len(sent) == 2 * tries


@pytest.mark.parametrize("body", [b"", b"{}", b'{"keys": [{"id": "k"}]}', b'{"keys": 1}', b"null"])
def test_what_is_no_answer_raises(body: bytes) -> None:
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, content=body))
    with Client("http://pdp", transport=transport) as client, pytest.raises(Unavailable):
        client.admin.keys()


@pytest.mark.parametrize("body", [b"", b"x", b"[]", b'{"detail": 7}', b"[" * 10_000])
def test_problem_details_that_are_none_say_nothing(body: bytes) -> None:
    headers = {"content-type": "application/problem+json"}
    transport = httpx2.MockTransport(lambda _: httpx2.Response(403, content=body, headers=headers))
    with Client("http://pdp", transport=transport) as client, pytest.raises(Unavailable) as found:
        client.admin.keys()
    assert (found.value.status, found.value.detail) == (403, "")
