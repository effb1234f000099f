"""usual(body) is None, or what `decode` makes of the body: the fast way in accepts nothing else and changes nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from policyengine.server import decode
from policyengine.server.errors import Malformed
from policyengine.server.usual import usual
from tests.server.test_fuzz import requests

USUAL: dict[str, Any] = {
    "subject": {"type": "User", "id": "ann", "properties": {"tenant": "acme", "n": 1, "x": {"y": [1.5, None]}}},
    "action": {"name": "call"},
    "resource": {"type": "Tool", "id": "t:1"},
    "context": {"time": "10:00", "agent": {"type": "Agent", "id": "a", "properties": {"m": True}}},
}


def _outcome(read: Any, body: bytes) -> tuple[str, str]:
    try:
        return "request", repr(_sorted(read(body)))
    except Malformed as error:
        return "malformed", error.message


def _sorted(value: Any) -> Any:
    """With members in order of their names, as they mean the same in any."""
    if isinstance(value, dict):
        return sorted((name, _sorted(each)) for name, each in value.items())
    return [_sorted(each) for each in value] if isinstance(value, list) else value


def _slowly(body: bytes) -> decode.Arguments:
    return decode.evaluation(decode.json_object(body))


def _lawful(body: bytes) -> bool:
    """Whether it was read the fast way."""
    fast = _outcome(usual, body)
    if fast == ("request", "None"):
        return False
    assert fast == _outcome(_slowly, body)
    return True


def _text(value: Any) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize("left_out", ["", "context"])
def test_the_usual_request_is_read_the_fast_way(left_out: str) -> None:
    assert _lawful(_text({name: each for name, each in USUAL.items() if name != left_out}))


@pytest.mark.parametrize(
    "body",
    [
        b'{"subject":{"type":"U","id":"a","id":"b"},"action":{"name":"c"},"resource":{"type":"T","id":"t"}}',
        b'{"subject":{"type":"U","id":"a"},"action":{"name":"c"},"resource":{"type":"T","id":"t"},"action":{"name":"d"}}',
        b'{"subject":{"type":"U","id":"a","properties":{"x":1,"x":2}},"action":{"name":"c"},"resource":{"type":"T","id":"t"}}',
        b'{"subject":{"type":"U","id":"a","properties":{"x":{"y":1,"y":2}}},"action":{"name":"c"},"resource":{"type":"T","id":"t"}}',
        b'{"subject":{"type":"U","id":"a","properties":{"x":"\\u003a","x":1}},"action":{"name":"c"},"resource":{"type":"T","id":"t"}}',
        b'{"subject":{"type":"U","id":""},"action":{"name":"c"},"resource":{"type":"T","id":"t"}}',
        b'{"subject":{"type":"U","id":"a","role":"b"},"action":{"name":"c"},"resource":{"type":"T","id":"t"}}',
        b'{"subject":{"type":"U","id":"a","parents":[]},"action":{"name":"c"},"resource":{"type":"T","id":"t"}}',
        b'{"subject":{"type":"U","id":"a"},"action":{"name":"c","properties":{}},"resource":{"type":"T","id":"t"}}',
        b'{"subject":{"type":"U","id":"a"},"action":{"name":"c"},"resource":{"type":"T","id":"t"},"context":null}',
        b'{"subject":{"type":"U","id":"a"},"action":{"name":"c"}}',
        b'{"subject":{"type":"U","id":"\xff"},"action":{"name":"c"},"resource":{"type":"T","id":"t"}}',
        b"[" * 100_000,
    ],
)
def test_what_is_not_plainly_a_request_is_left_to_decode(body: bytes) -> None:
    assert usual(body) is None


@pytest.mark.fuzz
@given(requests)
def test_any_request(request: Any) -> None:
    body = _text(request)
    event("fast" if _lawful(body) else "slow")
    _lawful(json.dumps(request, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"))


@pytest.mark.fuzz
@given(st.data(), st.sampled_from(("type", "id", "tenant", "n", "x", "y", "properties", "action", "context", "m")))
def test_keys_that_come_twice_or_elsewhere(data: st.DataObject, name: str) -> None:
    other = data.draw(
        st.sampled_from(("type", "id", "tenant", "n", "x", "resource", "parents", "supported_obligations"))
    )
    body = _text(USUAL).replace(f'"{name}":'.encode(), f'"{other}":'.encode())
    event("fast" if _lawful(body) else "slow")


@pytest.mark.fuzz
@given(st.data())
def test_any_damage(data: st.DataObject) -> None:
    body = bytearray(_text(USUAL))
    at = data.draw(st.integers(0, len(body) - 1))
    body[at : at + data.draw(st.integers(0, 3))] = data.draw(
        st.binary(max_size=3) | st.sampled_from((b":", b'"', b"\\"))
    )
    event("fast" if _lawful(bytes(body)) else "slow")
