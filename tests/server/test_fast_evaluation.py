"""Laws of what is answered directly.

directly(x) = the answer of the pipeline's tasks, byte for byte, and the same is counted and recorded

Two services answer the same requests over a socket; the listener of one of them knows no short way.
"""

from __future__ import annotations

import itertools
import json
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from policyengine.callers.caller import ANONYMOUS, Caller
from policyengine.callers.refusal import Refusal
from policyengine.engine import Engine
from policyengine.server import fast_evaluation
from policyengine.server.access.request_hints import AccessHints
from policyengine.server.app import create_app
from policyengine.server.batch_budget import SLICE
from policyengine.server.listener import Listener
from policyengine.server.pipeline import Incoming, Peer, Pipeline, Steps
from policyengine.settings.model import Settings
from tests.server.serving import EVALUATION, EVALUATIONS, serving_at
from tests.server.test_fuzz import batches, requests
from tests.support.examples import few

POLICIES = """
module m
use ai
extend Document { x?: Int, y: Int }
obligation audit(note: String)

permit reads: retrieve on Document
permit models: invoke on Model
permit tools: call on Tool
tool send()
forbid high: retrieve on Document when document has x and document.x > 1
  because "it is too high"
forbid broken: retrieve on Document when document.id == "broken" and document.y > 1
require noted: retrieve on Document when document.id == "noted"
  audit(note: "read")
require asked: call on Tool
  approval(by: Group::"finance", within: 15m)
limit rate: invoke on Model
  at most 2 requests per 1h by principal
forbid tried: retrieve on Document
  when document.id == "tried"
  on match log
"""
Address = tuple[str, int]
ANN = {"type": "User", "id": "ann", "properties": {"tenant": "acme", "roles": ["a", "b"]}}


def asked(id_: str, type_: str = "Document", action: str = "retrieve", **more: Any) -> dict[str, Any]:
    resource = {"type": type_, "id": id_, "properties": more.pop("properties", {})}
    return {"subject": ANN, "action": {"name": action}, "resource": resource, **more}


SINGLE = {
    "allowed": asked("d"),
    "denied": asked("d", properties={"x": 2}),
    "erring": asked("broken"),
    "owing": asked("noted"),
    "owing, and able to": asked("noted", context={"supported_obligations": ["audit"]}),
    "tried": asked("tried"),
    "for an approval": asked("send", "Tool", "call"),
    "with an approval": asked("send", "Tool", "call", context={"approval": {"id": "x"}}),
    "unmetered": asked("m", "Model", "invoke"),
    "metered": asked("m", "Model", "invoke", context={"metered_limits": True}),
    "for an agent": asked("d", context={"agent": {"type": "Agent", "id": "a"}}),
    "of no type that is known": asked("d", "NoResults"),
    "with an entity in a property": asked("d", properties={"owner": ANN}),
    "with what is not known": {**asked("d"), "subjekt": 1},
    "without a resource": {"subject": ANN, "action": {"name": "retrieve"}},
    "a list": [1],
}
MANY = {
    "one": {"evaluations": [asked("d")]},
    "all": {"evaluations": list(SINGLE.values())},
    "the same": {"evaluations": [asked("d")] * 20},
    "defaults": {**asked("d"), "evaluations": [{}, {"context": {}}, {"resource": {"type": "Document", "id": "e"}}]},
    "half of one": {"evaluations": [{"resource": {"type": "Document", "id": "e"}}]},
    "until one is denied": {
        "evaluations": [asked("d"), asked("d", properties={"x": 2}), asked("e")],
        "options": {"evaluations_semantic": "deny_on_first_deny"},
    },
    "as many as a slice": {"evaluations": [asked(str(n)) for n in range(SLICE)]},
    "one more": {"evaluations": [asked(str(n), properties={"x": n}) for n in range(SLICE + 1)]},
    "none": {"evaluations": []},
    "a text": {"evaluations": "x"},
}
RAW = [b"", b"{", b"null", b'{"subject":{"type":"User","id":"a","id":"b"}}', b"[" * 1000, b"\xff", b'{"a":"\\u003a"}']


class Tasks(Listener):
    """Without the short way."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._questions = {}


def head(path: str, *more: bytes, method: bytes = b"POST") -> bytes:
    return b"\r\n".join([b"%b %b HTTP/1.1" % (method, path.encode()), b"Host: localhost", *more, b""])


def request(path: str, body: bytes, *more: bytes) -> bytes:
    length = b"Content-Length: %d" % len(body)
    return head(path, b"Content-Type: application/json", b"X-Request-ID: r-1", length, *more) + b"\r\n" + body


def answers(address: Address, *sent: bytes, count: int | None = None) -> list[bytes]:
    """The answers over one connection, each without its date."""
    with socket.create_connection(address, timeout=20) as connection:
        for part in sent:
            connection.sendall(part)
        return [_next(connection.makefile("rb", 0), b"") for _ in range(len(sent) if count is None else count)]


def _next(stream: Any, found: bytes) -> bytes:
    while not found.endswith(b"\r\n\r\n"):
        line = stream.readline()
        assert line, found
        if not line.startswith(b"date: "):
            found += line
    length = re.search(rb"content-length: (\d+)", found)
    left, body = int(length[1]) if length is not None else 0, b""
    while len(body) < left:
        body += stream.read(left - len(body))
    return found + body


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Address, Address]]:
    folder: Path = tmp_path_factory.mktemp("direct")
    (folder / "m.pol").write_text(POLICIES)
    with ExitStack() as stack:
        one, other = (stack.enter_context(serving_at(folder, http=each)) for each in (Listener, Tasks))
        yield one, other


def same(services: tuple[Address, Address], *sent: bytes, count: int | None = None) -> list[bytes]:
    one, other = (answers(address, *sent, count=count) for address in services)
    assert one == other
    return one


def counts(address: Address) -> list[bytes]:
    wanted = (b"policyengine_decisions_total", b"policyengine_requests_total", b"policyengine_tried")
    [found] = answers(address, head("/metrics", method=b"GET") + b"\r\n")
    return [line for line in found.splitlines() if line.startswith(wanted) and b"prometheus" not in line]


def test_an_answer_is_the_same_and_is_counted(services: tuple[Address, Address]) -> None:
    bodies = [json.dumps(each).encode() for each in (*SINGLE.values(), *MANY.values())]
    # Over one connection, the answers in order; and all of it again, when the code for it is there.
    sent = [request(path, body) for path in (EVALUATION, EVALUATIONS) for body in (*bodies, *RAW)]
    first = same(services, *sent)
    assert same(services, *sent) == first
    assert {each.split(b" ", 2)[1] for each in first} == {b"200", b"400"}
    assert counts(services[0]) == counts(services[1]) != []


HEADERS = [
    (b"Connection: close",), (b"Connection: keep-alive",), (b"Authorization: x",), (b"X-Request-ID: r-2",),
    (b"Host: localhost",), (b"Host: elsewhere",), (b"Content-Encoding: gzip",), (b"Expect: 100-continue",),
    (b"Content-Type: text/plain",), (b"Transfer-Encoding: chunked",),
]  # fmt: skip


@pytest.mark.parametrize("more", HEADERS, ids=str)
def test_whatever_is_said_beside_it(services: tuple[Address, Address], more: tuple[bytes, ...]) -> None:
    body = json.dumps(asked("d")).encode()
    same(services, request(EVALUATION, body, *more))
    bare = head(EVALUATION, b"Content-Length: %d" % len(body), *more) + b"\r\n" + body
    one, other = (re.sub(rb"[0-9a-f]{16}-[0-9a-f]+", b"", *answers(address, bare)) for address in services)
    assert one == other


@pytest.mark.parametrize("line", [b"GET %b HTTP/1.1", b"POST %b?x=1 HTTP/1.1", b"POST %b HTTP/1.0", b"PUT %b HTTP/1.1"])
def test_whatever_else_is_asked(services: tuple[Address, Address], line: bytes) -> None:
    sent = request(EVALUATION, json.dumps(asked("d")).encode(), b"Connection: keep-alive").split(b"\r\n", 1)[1]
    same(services, (line % EVALUATION.encode()) + b"\r\n" + sent)


def test_in_pieces_and_in_a_row(services: tuple[Address, Address]) -> None:
    one, other = (json.dumps(each).encode() for each in (asked("d"), asked("d", properties={"x": 2})))
    long = json.dumps({"evaluations": [asked(str(n), properties={"x": n}) for n in range(1000)]}).encode()
    row = [request(EVALUATION, one), request(EVALUATIONS, long), request(EVALUATION, other), request(EVALUATION, one)]
    whole = b"".join(row)
    found = same(services, whole, count=4)
    assert [b'"decision":true' in each for each in found] == [True, True, False, True]
    pieces = [whole[at : at + 5000] for at in range(0, len(whole), 5000)]
    assert same(services, *pieces, count=4) == found
    assert same(services, *(row[2][at : at + 1] for at in range(len(row[2]))), count=1) == found[2:3]


@pytest.mark.fuzz
@given(requests | batches)
@few(4)
def test_any_request(services: tuple[Address, Address], value: Any) -> None:
    body = json.dumps(value).encode()
    same(services, request(EVALUATION, body), request(EVALUATIONS, body))


def test_what_is_plain_takes_no_task() -> None:
    engine = Engine.from_text(POLICIES)
    batch = json.dumps(MANY["as many as a slice"]).encode()
    for _ in range(3):
        one = fast_evaluation.evaluate(engine, json.dumps(SINGLE["allowed"]).encode(), desk=AccessHints(None))
        many = fast_evaluation.evaluate_batch(engine, batch, desk=AccessHints(None), max_batch=1000, max_work=1_000_000)
    assert one is not None
    assert many is not None
    assert (one.allowed, many.allowed, len(many.decisions)) == (1, SLICE, SLICE)
    assert (
        fast_evaluation.evaluate_batch(engine, batch, desk=AccessHints(None), max_batch=SLICE - 1, max_work=1_000_000)
        is None
    )
    assert fast_evaluation.evaluate_batch(engine, batch, desk=AccessHints(None), max_batch=1000, max_work=SLICE) is None


def _app(**settings: Any) -> Pipeline:
    made = create_app(Settings(policies=Path("."), log_level="error", insecure=True, **settings))
    made.slot.engine = Engine.from_text(POLICIES)
    # The code for it is made by whoever asks first.
    assert made.slot.engine.decide(principal=ANN, action="retrieve", resource={"type": "Document", "id": "d"})
    return made


HERE, AWAY = Peer(("127.0.0.1", 80), ("127.0.0.1", 5)), Peer(("192.0.2.1", 80), ("192.0.2.9", 5))
BODY = json.dumps(asked("d")).encode()


def _directly(app: Pipeline, peer: Peer = HERE, **headers: str) -> Any:
    question = app.questions[EVALUATION]
    named = {name.encode(): value.encode() for name, value in headers.items()}
    return [app.directly(question, peer, named, BODY) for _ in range(3)][-1]


def test_no_step_is_passed_by() -> None:
    app = _app()
    assert set(app.direct_questions()) == {EVALUATION.encode(), EVALUATIONS.encode()}
    assert type(_directly(app)) is tuple
    assert _directly(app, AWAY) is app
    assert _directly(app, host="elsewhere") is app

    async def authenticate(_: Incoming) -> Caller:
        return ANONYMOUS

    async def limit(_: Caller, __: Incoming) -> None:
        return None

    def unknown(*_: Any) -> None:
        return None

    def known(*_: Any) -> Caller:
        return ANONYMOUS

    # A step that has no form that waits for nothing, is taken as it is.
    for first, second in itertools.product((None, authenticate), (None, limit)):
        for third, fourth in itertools.product((None, known), (None, unknown)):
            app.steps = Steps(first, second, (), third, fourth)
            is_direct = (first is None or third is not None) and (second is None or fourth is not None)
            assert bool(app.direct_questions()) is is_direct
            assert (type(_directly(app)) is tuple) is is_direct
    app.steps = Steps(authenticate, None, (), unknown)
    assert _directly(app) is app


def test_what_a_step_refuses_has_not_been_answered() -> None:
    app, bound = _app(), Caller("k", "key", frozenset({"decide"}), "acme")
    before = dict(app.tally.answers)
    for steps in (
        Steps(refuses=lambda *_: Refusal(403, "no")),
        Steps(known=lambda *_: bound),
        Steps(known=lambda *_: 1 / 0),  # type: ignore[arg-type, return-value]
    ):
        app.steps = steps
        assert type(_directly(app)) is not tuple
    assert app.tally.answers == before


def test_a_decision_that_is_answered_directly_leaves_a_record() -> None:
    app, kept = _app(), []  # type: ignore[var-annotated]
    _directly(app)
    app.steps = Steps(record=(kept.extend,))
    answer, identifier = app.directly(app.questions[EVALUATION], HERE, {b"x-request-id": b"r-9"}, BODY)  # type: ignore[misc]
    assert identifier == b"r-9"
    assert json.loads(answer)["decision"] is True
    [record] = kept
    assert (record.request_id, record.endpoint, record.caller) == ("r-9", "evaluation", ANONYMOUS)
    assert record.request["resource"] == {"type": "Document", "id": "d"}
