"""quick(body) is None, or what `read` makes of the body: the fast way in accepts nothing else and changes nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from policyengine.authzen import fast_read, read
from policyengine.authzen.engine_arguments import Batch, arguments
from policyengine.authzen.errors import Malformed
from tests.server.test_fuzz import batches, requests

USUAL: dict[str, Any] = {
    "subject": {"type": "User", "id": "ann", "properties": {"tenant": "acme", "n": 1, "x": {"y": [1.5, None]}}},
    "action": {"name": "call"},
    "resource": {"type": "Tool", "id": "t:1"},
    "context": {"time": "10:00", "agent": {"type": "Agent", "id": "a", "properties": {"m": True}}},
}
MANY: dict[str, Any] = {
    **USUAL,
    "options": {"evaluations_semantic": "deny_on_first_deny"},
    "evaluations": [
        {},
        {"resource": {"type": "Tool", "id": "t:2", "properties": {"owner": USUAL["context"]["agent"]}}},
        {"context": {}},
        {},
    ],
}

PLAIN = {**USUAL, "context": {"time": "10:00"}, "subject": {"type": "User", "id": "ann", "properties": {"id": "b"}}}
EACH: dict[str, Any] = {"evaluations": [PLAIN, {name: PLAIN[name] for name in ("subject", "action", "resource")}]}


def _outcome(read_: Any, body: bytes) -> tuple[str, str]:
    try:
        return "request", repr(_sorted(_spread(read_(body))))
    except Malformed as error:
        return type(error).__name__, error.message


def _spread(found: Any) -> Any:
    """A batch item by item: how equal ones are found, and how long they are as text, may differ."""
    if not isinstance(found, Batch):
        return found
    return [
        found.semantic,
        [each.message if isinstance(each, Malformed) else each for each in (found.items[at] for at in found.order)],
    ]


def _sorted(value: Any) -> Any:
    """With members in order of their names, as they mean the same in any."""
    if isinstance(value, dict):
        return sorted((name, _sorted(each)) for name, each in value.items())
    return [_sorted(each) for each in value] if isinstance(value, list) else value


def _one(body: bytes) -> Any:
    return read.evaluation(read.json_object(body))


def _many(body: bytes) -> Any:
    return read.batch(read.json_object(body))


def _few(body: bytes) -> Batch | None:
    """A batch of what is read for itself."""
    found = fast_read.few(body, 100)
    if found is None:
        return None
    return Batch(list(map(arguments, found)), [0], [0], range(len(found)), "execute_all")


def _lawful(body: bytes) -> bool:
    """Whether it was read the fast way."""
    quickly = False
    for fast, slow in ((fast_read.evaluation, _one), (fast_read.batch, _many), (_few, _many)):
        found = _outcome(fast, body)
        if found != ("request", "None"):
            assert found == _outcome(slow, body)
            quickly = True
    return quickly


def _text(value: Any) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize("properties", [{}, {"n": 1}, {"name": "x", "by": USUAL["context"]["agent"], "parents": 1}])
def test_an_action_with_attributes_is_read_the_fast_way(properties: dict[str, Any]) -> None:
    asked = {**USUAL, "action": {"name": "call", "properties": properties}}
    assert fast_read.evaluation(_text(asked)) is not None
    assert _lawful(_text(asked))
    assert fast_read.few(_text({"evaluations": [asked, USUAL]}), 2) is not None
    assert _lawful(_text({"evaluations": [asked, USUAL]}))


@pytest.mark.parametrize("left_out", ["", "context"])
def test_the_usual_request_is_read_the_fast_way(left_out: str) -> None:
    body = _text({name: each for name, each in USUAL.items() if name != left_out})
    assert fast_read.evaluation(body) is not None
    assert _lawful(body)


def test_what_production_sends_is_read_the_fast_way() -> None:
    context = {**USUAL["context"], "supported_obligations": ["redact"]}
    assert fast_read.evaluation(_text({**USUAL, "context": context})) is not None


def test_a_batch_is_read_the_fast_way_and_equal_items_once() -> None:
    body = _text(MANY)
    found = fast_read.batch(body)
    assert found is not None
    assert (list(found.order), len(found.items)) == ([0, 1, 2, 0], 3)
    assert _lawful(body)
    slow = read.batch(read.json_object(body))
    assert isinstance(slow, Batch)
    assert (slow.order, len(slow.items)) == ([0, 1, 2, 0], 3)


RARE = [
    b'{"subject":{"type":"U","id":"a","id":"b"},"action":{"name":"c"},"resource":{"type":"T","id":"t"}}',
    b'{"subject":{"type":"U","id":"a"},"action":{"name":"c"},"resource":{"type":"T","id":"t"},"action":{"name":"d"}}',
    b'{"subject":{"type":"U","id":"a","properties":{"x":1,"x":2}},"action":{"name":"c"},"resource":{"type":"T","id":"t"}}',
    b'{"subject":{"type":"U","id":"a","properties":{"x":{"y":1,"y":2}}},"action":{"name":"c"},"resource":{"type":"T","id":"t"}}',
    b'{"subject":{"type":"U","id":"a","properties":{"x":"\\u003a","x":1}},"action":{"name":"c"},"resource":{"type":"T","id":"t"}}',
    b'{"subject":{"type":"U","id":""},"action":{"name":"c"},"resource":{"type":"T","id":"t"}}',
    b'{"subject":{"type":"U","id":"a","role":"b"},"action":{"name":"c"},"resource":{"type":"T","id":"t"}}',
    b'{"subject":{"type":"U","id":"a","parents":[]},"action":{"name":"c"},"resource":{"type":"T","id":"t"}}',
    b'{"subject":{"type":"U","id":"a"},"action":{"name":"c","x":{}},"resource":{"type":"T","id":"t"}}',
    b'{"subject":{"type":"U","id":"a"},"action":{"name":"c","properties":[]},"resource":{"type":"T","id":"t"}}',
    b'{"subject":{"type":"U","id":"a"},"action":{"name":"c"},"resource":{"type":"T","id":"t"},"context":null}',
    b'{"subject":{"type":"U","id":"a"},"action":{"name":"c"},"resource":{"type":"T","id":"t"},"approved":[]}',
    b'{"subject":{"type":"U","id":"a"},"action":{"name":"c"},"resource":{"type":"T","id":"t"},"context":{"suported_obligations":[]}}',
    b'{"subject":{"type":"U","id":"a"},"action":{"name":"c"},"resource":{"type":"T","id":"t"},"contxt":{}}',
    b'{"subject":{"type":"U","id":"a"},"action":{"name":"c"}}',
    b'{"subject":{"type":"U","id":"\xff"},"action":{"name":"c"},"resource":{"type":"T","id":"t"}}',
]


@pytest.mark.parametrize("body", [*RARE, b"[" * 100_000])
def test_what_is_not_plainly_a_request_is_left_to_read(body: bytes) -> None:
    assert fast_read.evaluation(body) is None


@pytest.mark.parametrize("item", RARE)
@pytest.mark.parametrize("batch", [b'{"evaluations":[{},%b]}', b'%b,"evaluations":[{}]}'])
def test_a_batch_that_is_not_plainly_one_is_left_to_read(item: bytes, batch: bytes) -> None:
    body = batch % (item if batch.startswith(b"{") else item[:-1])
    assert fast_read.batch(body) is None
    assert fast_read.few(body, 10) is None


@pytest.mark.parametrize("item", [USUAL, PLAIN, {**PLAIN, "context": {"supported_obligations": ["x"]}}])
def test_few_items_are_read_each_for_itself(item: dict[str, Any]) -> None:
    for whole in ({"evaluations": [item, item]}, {**item, "evaluations": [{}, {"context": {}}, item]}):
        assert len(fast_read.few(_text(whole), 3) or ()) == len(whole["evaluations"])
        assert fast_read.few(_text(whole), 1) is None
        assert _lawful(_text(whole))
    assert fast_read.few(_text({**MANY, "evaluations": [item]}), 3) is None


def test_an_item_may_be_without_what_the_defaults_have() -> None:
    body = b'{"subject":{"type":"U","id":"a"},"action":{"name":"c"},"evaluations":[{"resource":{"type":"T","id":"t"}}]}'
    assert fast_read.batch(body) is not None
    assert _lawful(body)


@pytest.mark.fuzz
@given(requests | batches)
def test_any_request(request: Any) -> None:
    body = _text(request)
    event("fast" if _lawful(body) else "slow")
    _lawful(json.dumps(request, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"))


NAMES = ("type", "id", "tenant", "n", "x", "y", "properties", "action", "context", "m", "owner", "options")
OTHERS = ("type", "id", "tenant", "n", "x", "resource", "parents", "supported_obligations", "properties", "approved")


@pytest.mark.fuzz
@given(st.data(), st.sampled_from(NAMES), st.sampled_from(OTHERS), st.sampled_from((USUAL, MANY, EACH)))
def test_keys_that_come_twice_or_elsewhere(data: st.DataObject, name: str, other: str, whole: Any) -> None:
    count = data.draw(st.sampled_from((-1, 1)))
    body = _text(whole).replace(f'"{name}":'.encode(), f'"{other}":'.encode(), count)
    event("fast" if _lawful(body) else "slow")


@pytest.mark.fuzz
@given(st.data(), st.sampled_from((USUAL, MANY, EACH)))
def test_any_damage(data: st.DataObject, whole: Any) -> None:
    body = bytearray(_text(whole))
    at = data.draw(st.integers(0, len(body) - 1))
    body[at : at + data.draw(st.integers(0, 3))] = data.draw(
        st.binary(max_size=3) | st.sampled_from((b":", b'"', b"\\"))
    )
    event("fast" if _lawful(bytes(body)) else "slow")
