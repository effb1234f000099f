"""What is not a request: refused with 400 or 413, in one shape of error, never with a decision."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.server.serving import EVALUATION, EVALUATIONS
from tests.server.test_certification import PERMITTED

JSON = {"Content-Type": "application/json"}
GOOD = json.dumps(PERMITTED)
# Deeper than any reader goes, and fewer than the objects and arrays that a body may have: more of those are 413.
DEEP = 40_000


def with_property(text: str) -> str:
    """A good request whose resource has one property more, written as `text`."""
    return GOOD.replace('"id": "record-1"', '"id": "record-1", "properties": {"p": ' + text + "}")


BODIES: dict[str, bytes | str] = {
    "empty": b"",
    "only space": b"  \n",
    "cut off": GOOD[:-1],
    "two values": GOOD + GOOD,
    "trailing comma": GOOD[:-1] + ",}",
    "single quotes": GOOD.replace('"', "'"),
    "comment": GOOD + "// x",
    "array": f"[{GOOD}]",
    "text": '"x"',
    "number": "1",
    "null": "null",
    "NaN": with_property("NaN"),
    "Infinity": with_property("Infinity"),
    "-Infinity": with_property("-Infinity"),
    "a number beyond a double": with_property("1e999"),
    "a number of 5,000 digits": with_property("1" * 5_000),
    "a leading zero": with_property("01"),
    "a control character": with_property('"\x01"'),
    "a name twice": GOOD[:-1] + ', "subject": {"type": "user", "id": "bob"}}',
    "a name twice, once escaped": GOOD[:-1] + ', "sub\\u006aect": {"type": "user", "id": "bob"}}',
    "a name twice, deep": with_property('[{"a": {"b": 1, "b": 2}}]'),
    "an unpaired surrogate": with_property('"\\ud800"'),
    "an unpaired surrogate as a name": with_property('{"\\uDFFF": 1}'),
    "an encoded surrogate": with_property('"\\u0041"').encode().replace(b"\\u0041", b"\xed\xa0\x80"),
    "not UTF-8": GOOD.encode().replace(b"alice", b"al\xefce"),
    "UTF-16": GOOD.encode("utf-16"),
    "two byte order marks": b"\xef\xbb\xbf" * 2 + GOOD.encode(),
    "a byte order mark elsewhere": GOOD.encode() + b"\xef\xbb\xbf",
    "deep arrays": with_property("[" * DEEP + "]" * DEEP),
    "deep objects": with_property('{"a":' * DEEP + "1" + "}" * DEEP),
    "deep and cut off": "[" * DEEP,
}


@pytest.mark.parametrize("path", [EVALUATION, EVALUATIONS])
@pytest.mark.parametrize("name", BODIES)
def test_bodies(certification: httpx.Client, path: str, name: str) -> None:
    _assert_refused(certification.post(path, content=BODIES[name], headers=JSON), 400)


def test_a_byte_order_mark_is_no_error(certification: httpx.Client) -> None:
    """Files that were saved on some machines begin with one."""
    body = b"\xef\xbb\xbf" + GOOD.encode()
    for content in (body, body.replace(b"alice", b"\\u0061lice")):
        assert certification.post(EVALUATION, content=content, headers=JSON).json()["decision"] is True


@pytest.mark.parametrize("depth", [10, 60, 70, 200, 500, 800, 900, 950, 1000, 1500])
@pytest.mark.parametrize("member", ['{"a":', "["])
def test_any_depth_is_answered_or_refused(certification: httpx.Client, depth: int, member: str) -> None:
    closing = "}" if member.startswith("{") else "]"
    nested = member * depth + "1" + closing * depth
    for name in ("role", "status", "p"):
        body = with_property(nested).replace('"p": ', f'"{name}": ')
        response = certification.post(EVALUATION, content=body, headers=JSON)
        assert response.status_code in (200, 400), response.text
        batch = f'{{"evaluations": [{body}]}}'
        assert certification.post(EVALUATIONS, content=batch, headers=JSON).status_code in (200, 400)


ENTITY_TYPES: list[Any] = [None, "x", "", 1, 1.5, True, [], [{}], {}, {"type": "user"}, {"id": "x"}]


@pytest.mark.parametrize("path", [EVALUATION, EVALUATIONS])
@pytest.mark.parametrize("member", ["subject", "resource", "action"])
@pytest.mark.parametrize("value", ENTITY_TYPES)
def test_entities(certification: httpx.Client, path: str, member: str, value: Any) -> None:
    _assert_refused(certification.post(path, json={**PERMITTED, member: value}), 400)


@pytest.mark.parametrize("member", ["type", "id"])
@pytest.mark.parametrize("value", [None, "", 1, True, [], ["user"], {}])
def test_identities(certification: httpx.Client, member: str, value: Any) -> None:
    for entity in ("subject", "resource"):
        request = {**PERMITTED, entity: {**PERMITTED[entity], member: value}}
        _assert_refused(certification.post(EVALUATION, json=request), 400)


@pytest.mark.parametrize("value", [None, "x", 1, True, [], [["a", 1]]])
def test_what_must_be_an_object(certification: httpx.Client, value: Any) -> None:
    for entity in ("subject", "action", "resource"):
        request = {**PERMITTED, entity: {**PERMITTED[entity], "properties": value}}
        _assert_refused(certification.post(EVALUATION, json=request), 400)
    _assert_refused(certification.post(EVALUATION, json={**PERMITTED, "context": value}), 400)


@pytest.mark.parametrize("value", [None, "x", {}, [1], ["x"], [{"type": "Group"}], [{"type": "Group", "id": ""}]])
def test_parents(certification: httpx.Client, value: Any) -> None:
    request = {**PERMITTED, "subject": {**PERMITTED["subject"], "parents": value}}
    _assert_refused(certification.post(EVALUATION, json=request), 400)


@pytest.mark.parametrize("bad", [{"id": ""}, {"type": ""}, {"parents": "x"}])
def test_entities_in_the_context(certification: httpx.Client, bad: Any) -> None:
    agent = {"type": "Agent", "id": "a", "properties": {}, **bad}
    outer = {"type": "Agent", "id": "b", "properties": {"delegated_by": agent}}
    for context in ({"agent": agent}, {"agent": outer}):
        _assert_refused(certification.post(EVALUATION, json={**PERMITTED, "context": context}), 400)


@pytest.mark.parametrize("value", [None, "custom", {}, [1], [None]])
def test_supported_obligations(certification: httpx.Client, value: Any) -> None:
    request = {**PERMITTED, "context": {"supported_obligations": value}}
    _assert_refused(certification.post(EVALUATION, json=request), 400)


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "text/json"},
        {"Content-Type": "application/jsonp"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Type": ""},
        {},
        {**JSON, "Content-Encoding": "gzip"},
    ],
)
def test_headers(certification: httpx.Client, headers: dict[str, str]) -> None:
    _assert_refused(certification.post(EVALUATION, content=GOOD, headers=headers), 400)


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "Application/JSON", "application/json; charset=utf-8", 'application/json;charset="UTF-8"'],
)
def test_content_types_that_are_json(certification: httpx.Client, content_type: str) -> None:
    response = certification.post(EVALUATION, content=GOOD, headers={"Content-Type": content_type})
    assert response.json()["decision"] is True


@pytest.mark.parametrize("path", [EVALUATION, EVALUATIONS])
def test_too_large(certification: httpx.Client, path: str) -> None:
    large = with_property('"' + "x" * (1 << 20) + '"').encode()
    _assert_refused(certification.post(path, content=large, headers=JSON), 413)
    in_chunks = (large[i : i + 65_536] for i in range(0, len(large), 65_536))
    _assert_refused(certification.post(path, content=in_chunks, headers=JSON), 413)


def test_a_body_in_chunks(certification: httpx.Client) -> None:
    response = certification.post(EVALUATION, content=(bytes([b]) for b in GOOD.encode()), headers=JSON)
    assert response.json()["decision"] is True


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", EVALUATION, 405),
        ("PUT", EVALUATIONS, 405),
        ("POST", "/healthz", 405),
        ("GET", "/access/v1/search/subject", 405),
        ("POST", "/access/v1/search", 404),
        ("GET", "/", 404),
        ("POST", EVALUATION + "/", 404),
    ],
)
def test_other_methods_and_paths(certification: httpx.Client, method: str, path: str, status: int) -> None:
    response = certification.request(method, path)
    if status == 405:
        assert response.headers["Allow"]
    _assert_refused(response, status)


def _assert_refused(response: httpx.Response, status: int) -> None:
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["X-Request-ID"]
    body = response.json()
    assert set(body) == {"type", "title", "status", "detail", "request_id"}
    assert body["status"] == status
    assert body["detail"]
