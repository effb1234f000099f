"""Release and admission over HTTP: real requests to a real server, whole and as server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from policyengine import Engine
from policyengine.callers.caller import Caller
from policyengine.detect import Vocabulary, registry
from policyengine.detect.content import canary
from policyengine.release.inspection import Inspection
from policyengine.server.bind import Binding
from policyengine.server.body import Disconnected
from policyengine.server.release_events import release_events
from policyengine.settings.model import Settings
from tests.server.serving import serving
from tests.support.told import Told

POLICIES = """
module chat
use ai

permit own: release on Output for User when output.tenant == principal.tenant
permit models: invoke on Model for User

require scrub: release on Output redact(["email"])
require scrub_input: invoke on Model redact(["email"])

forbid draft: release on Output when "draft" in output.labels because "drafts stay here"
forbid above: release on Output
  when any source in output.sources: source.tenant != principal.tenant
"""
ANN = {"type": "User", "id": "ann", "properties": {"tenant": "acme", "roles": []}}
ASKED = {"subject": ANN, "output": {"tenant": "acme", "labels": []}, "sources": []}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    path: Path = tmp_path_factory.mktemp("release")
    (path / "policy.pol").write_text(POLICIES, encoding="utf-8")
    with serving(path) as client:
        yield client


def post(client: httpx.Client, path: str, **body: Any) -> httpx.Response:
    return client.post(path, json=body)


def test_a_text_leaves_without_what_is_redacted(client: httpx.Client) -> None:
    answer = post(client, "/v1/release", **ASKED, text="to bob@acme.com").json()
    assert (answer["released"], answer["text"], answer["decision"]) == (True, "to [email]", True)
    assert [found["kind"] for found in answer["findings"]] == ["email"]
    assert "bob" not in json.dumps(answer)


def test_a_value_stays_one(client: httpx.Client) -> None:
    answer = post(client, "/v1/release", **ASKED, json={"to": ["bob@acme.com"], "n": 1}).json()
    assert answer["json"] == {"to": ["[email]"], "n": 1}


def test_what_is_denied_is_not_in_the_answer(client: httpx.Client) -> None:
    asked = {**ASKED, "output": {"tenant": "acme", "labels": ["draft"]}}
    answer = post(client, "/v1/release", **asked, text="to bob@acme.com").json()
    assert (answer["released"], answer["decision"], answer["context"]["reasons"]) == (
        False,
        False,
        ["drafts stay here"],
    )
    assert "text" not in answer
    theirs = {**ASKED, "sources": [{"type": "Document", "id": "d", "tenant": "globex"}]}
    assert post(client, "/v1/release", **theirs, text="x").json()["released"] is False


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"text": "x", "json": {}},
        {"text": 7},
        {"text": "x", "output": []},
        {"text": "x", "sources": [1]},
        {"text": "x", "sources": {}},
        {"text": "x", "expected": {"pattern": "("}},
        {"text": "x", "expected": {"schema": {"type": 7}}},
        {"text": "x", "expected": {}},
        {"text": "x", "fulfilled": "redact"},
        {"text": "x", "session": ""},
    ],
)
def test_what_has_another_form_is_refused(client: httpx.Client, body: dict[str, Any]) -> None:
    assert post(client, "/v1/release", subject=ANN, **body).status_code == 400


def test_what_is_found_is_said_by_nobody_else(client: httpx.Client) -> None:
    answer = post(client, "/v1/release", subject=ANN, output={"tenant": "acme", "findings": []}, text="x").json()
    assert (answer["released"], answer["context"]["errors"][0]["code"]) == (False, "POL504")


def test_messages_go_in_without_what_is_redacted(client: httpx.Client) -> None:
    messages = [{"role": "user", "content": [{"type": "text", "text": "to bob@acme.com"}]}]
    asked = {"subject": ANN, "model": {"id": "m", "provider": "x", "tier": "small"}}
    answer = post(client, "/v1/admit", **asked, messages=messages).json()
    assert answer["messages"] == [{"role": "user", "content": [{"type": "text", "text": "to [email]"}]}]
    assert post(client, "/v1/admit", **asked, text="to bob@acme.com").json()["text"] == "to [email]"
    for body in ({"messages": messages}, {**asked, "messages": "x"}, asked, {**asked, "text": ["x"]}):
        assert client.post("/v1/admit", json={"subject": ANN, **body}).status_code == 400


def test_a_denial_has_a_status_for_who_asks(client: httpx.Client) -> None:
    for path, body in (
        ("/v1/release", {"output": {"tenant": "acme", "findings": []}, "text": "x"}),
        ("/v1/release", {"output": {"tenant": "globex"}, "text": "x"}),
        ("/v1/detokenize", {"output": {"tenant": "globex"}, "text": "x"}),
    ):
        silent = post(client, path, subject=ANN, **body)
        asked = post(client, f"{path}?status=403", subject=ANN, **body)
        assert (silent.status_code, asked.status_code) == (200, 403), (path, silent.text)
        assert asked.json()["released"] is False
    assert post(client, "/v1/release?status=403", **ASKED, text="x").status_code == 200


# ---- events ----


def sent(*data: Any, event: str = "") -> bytes:
    head = f"event: {event}\n" if event else ""
    return "".join(f"{head}data: {one if one == '[DONE]' else json.dumps(one)}\n\n" for one in data).encode()


def streamed(client: httpx.Client, *parts: bytes) -> list[tuple[str, str]]:
    headers = {"content-type": "text/event-stream"}
    answer = client.post("/v1/release", content=iter(parts), headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    found = []
    for block in answer.text.strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.split("\n"))
        found.append((lines.get("event", ""), lines["data"]))
    return found


def test_events_come_out_as_they_may_go(client: httpx.Client) -> None:
    chunks = ["to bo", "b@acme", ".com", " today"]
    body = sent(ASKED, *chunks, "[DONE]")
    for size in (1, 7, len(body)):
        parts = [body[at : at + size] for at in range(0, len(body), size)]
        *texts, done, (name, account) = streamed(client, *parts)
        assert "".join(json.loads(data) for _, data in texts) == "to [email] today"
        assert (done, name) == (("", "[DONE]"), "released")
        assert json.loads(account)["findings"][0]["kind"] == "email"
        assert json.loads(account)["found"] == {"email": 1}


def test_chunks_of_a_model_keep_their_form(client: httpx.Client) -> None:
    deltas = [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
        for text in ("bob@", "acme.com")
    ]
    out = streamed(client, sent(ASKED), sent(*deltas, event="content_block_delta"))
    assert [name for name, _ in out] == ["content_block_delta", "content_block_delta", "released"]
    assert json.loads(out[0][1])["delta"]["text"] == "[email]"


def test_a_denied_stream_says_so_and_nothing_else(client: httpx.Client) -> None:
    asked = {**ASKED, "output": {"tenant": "globex", "labels": []}}
    [(name, account)] = streamed(client, sent(asked, "to bob@acme.com"))
    assert (name, json.loads(account)["released"]) == ("not_released", False)


def test_what_cannot_be_read_ends_the_stream(client: httpx.Client) -> None:
    long = ["a sentence that may go. "] * 100
    *texts, (name, _) = streamed(client, sent(ASKED, *long), b"data: {broken\n\n", sent("to bob@acme.com"))
    assert name == "not_released"
    assert "bob" not in "".join(data for _, data in texts)
    for body in (b"", b"data: 7\n\n", b"\xff\xff\n\n", sent({"subject": 7})):
        headers = {"content-type": "text/event-stream"}
        assert client.post("/v1/release", content=body, headers=headers).status_code == 400


def test_a_client_that_goes_away_does_not_hurt(client: httpx.Client) -> None:
    def parts() -> Iterator[bytes]:
        yield sent(ASKED, "x")
        raise ConnectionError

    with pytest.raises(ConnectionError):
        client.post("/v1/release", content=parts(), headers={"content-type": "text/event-stream"})
    assert post(client, "/v1/release", **ASKED, text="x").json()["released"] is True


SESSIONS = """
module s
use ai
permit says: release on Output
permit asks: invoke on Model
permit opens: detokenize on Output
forbid leaks: release on Output when "seen" in session.labels
forbid tells: invoke on Model when "seen" in session.labels
forbid gives: detokenize on Output when "seen" in session.labels
label seen: receive on Tool
"""


@pytest.mark.parametrize("leaves", ["reading", "writing"])
def test_a_canary_is_told_of_although_the_client_goes_away(leaves: str) -> None:
    told, token = Told(), canary.mint(bytes(range(32)))
    rules = POLICIES + '\nrequire hide: release on Output redact(["canary"])'
    inspection = Inspection(finders=registry(Vocabulary(canaries=(token,))))
    engine = Engine.from_text(rules, events=told, inspection=inspection)
    binding = Binding(Settings(policies=Path("."), insecure=True).tenants.tenancy())
    chunks = [f"The notes: {token}.", " More." * 2_000, " More." * 2_000]
    body = "".join(f"data: {json.dumps(one)}\n\n" for one in (ASKED, *chunks)).encode()
    come: list[Any] = [{"type": "http.request", "body": body, "more_body": True}, {"type": "http.disconnect"}]
    sent: list[bytes] = []

    async def receive() -> Any:
        return come.pop(0)

    async def send(message: Any) -> None:
        sent.append(message.get("body", b""))
        if leaves == "writing" and b"[canary]" in sent[-1]:
            raise ConnectionResetError

    async def look(work: Any) -> Any:
        return work()

    caller = Caller("key-1", "key", frozenset({"decide"}))
    answering = release_events(engine, caller, receive, send, b"1", "http", look, binding=binding, limit=100_000)
    with suppress(Disconnected):
        asyncio.run(answering)  # type: ignore[arg-type]
    assert b"[canary]" in b"".join(sent)
    assert [(one.kind, one.fields["became"]) for one in told.events] == [("canary.found", "removed")]


def test_a_session_that_nobody_opened_allows_nothing(tmp_path: Path) -> None:
    """Whoever chooses ids could choose one that has seen nothing."""
    (tmp_path / "policy.pol").write_text(SESSIONS, encoding="utf-8")
    bodies = {
        "release": {"text": "x", "output": {}, "sources": []},
        "admit": {"text": "x", "model": {"id": "m"}},
        "detokenize": {"text": "x", "output": {}},
    }
    with serving(tmp_path) as client:
        opened = post(client, "/v1/sessions", subject=ANN).json()["session"]
        for path, body in bodies.items():
            asked = {"subject": ANN, **body}
            assert post(client, f"/v1/{path}", **asked, session=opened).json()["decision"] is True, path
            assert post(client, f"/v1/{path}", **asked, session="made-up").json()["decision"] is False, path
        asked = {"subject": ANN, "output": {}, "sources": []}
        assert streamed(client, sent({**asked, "session": opened}, "x", "[DONE]"))[-1][0] != "not_released"
        assert streamed(client, sent({**asked, "session": "made-up"}, "x", "[DONE]"))[-1][0] == "not_released"
