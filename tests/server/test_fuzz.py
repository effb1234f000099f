"""Laws of the wire, on arbitrary JSON.

status(POST x) is 200, 400 or 413
status = 200  ⇒  every decision in the answer is a boolean
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policyengine.authzen.answers import ActionSearchResponse, EntitySearchResponse, EvaluationResponse, FilterResponse
from policyengine.authzen.endpoints import (
    ADMIT,
    AUTHORIZATIONS,
    AUTHORIZE,
    DETOKENIZE,
    EXPLAIN,
    FILTER,
    RELEASE,
    SESSIONS,
)
from policyengine.authzen.engine_arguments import SEMANTICS
from tests.server.serving import EVALUATION, EVALUATIONS, SEARCH_ACTION, SEARCH_RESOURCE, SEARCH_SUBJECT

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
names = st.text() | st.sampled_from(
    ["type", "id", "name", "properties", "parents", "subject", "action", "resource", "context", "evaluations",
     "options", "evaluations_semantic", "supported_obligations", "agent", "role", "status", "soft", "page",
     "limit", "token"]
)  # fmt: skip
values: st.SearchStrategy[Any] = st.recursive(
    scalars | st.sampled_from(["user", "alice", "bob", "record", "record-1", "read", "delete", "execute_all"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=5),
    max_leaves=20,
)


def _mostly(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(strategy, strategy, strategy, values)


def _object(required: dict[str, Any], optional: dict[str, Any]) -> st.SearchStrategy[Any]:
    shaped = {name: _mostly(each) for name, each in required.items()}
    return st.fixed_dictionaries(shaped, optional={name: _mostly(each) for name, each in optional.items()})


objects = st.dictionaries(names, values, max_size=4)
text = st.text(min_size=1) | st.sampled_from(["alice", "bob", "record-1"])
references = _object({"type": text, "id": text}, {})
entities = _object(
    {"type": st.sampled_from(["user", "record"]) | text, "id": text},
    {"properties": objects, "parents": st.lists(references, max_size=2)},
)
actions = _object({"name": st.sampled_from(["read", "write", "delete"]) | text}, {"properties": objects})
contexts = _object({}, {"supported_obligations": st.lists(text, max_size=2), "agent": entities, "time": values})
members = {"subject": entities, "action": actions, "resource": entities}
requests = _object(members, {"context": contexts, "unknown": values})
batches = _object(
    {"evaluations": st.lists(_mostly(_object({}, {**members, "context": contexts})), max_size=4)},
    {
        **members,
        "context": contexts,
        "options": _object({}, {"evaluations_semantic": st.sampled_from(SEMANTICS)}),
    },
)

sought = _object({"type": st.sampled_from(["user", "record"]) | text}, {"id": values, "properties": objects})
pages = _object({}, {"limit": st.integers(-1, 3), "token": text, "properties": objects})
searches = _object(
    {"subject": entities | sought, "action": actions, "resource": entities | sought},
    {"context": contexts, "page": pages},
)
filters = _object(
    {"subject": entities, "action": actions, "resource": sought},
    {"context": contexts, "backend": objects, "exact": st.booleans(), "fulfils": st.lists(text, max_size=2)},
)
PATHS = [EVALUATION, EVALUATIONS, FILTER, SEARCH_SUBJECT, SEARCH_RESOURCE, SEARCH_ACTION]


@pytest.mark.fuzz
@given(st.one_of(values, requests, batches, searches, filters), st.sampled_from(PATHS))
def test_any_json(certification: httpx.Client, value: Any, path: str) -> None:
    _assert_lawful(_post(certification, path, json.dumps(value).encode()))


@pytest.mark.fuzz
@given(st.one_of(values, requests))
def test_an_explanation_has_the_decision_of_the_evaluation(certification: httpx.Client, value: Any) -> None:
    body = json.dumps(value).encode()
    evaluated, explained = (_post(certification, path, body) for path in (EVALUATION, EXPLAIN))
    if explained.status_code == 200 or evaluated.status_code != 200:
        assert explained.status_code == evaluated.status_code
    else:
        assert "`context.approval`" in explained.json()["detail"]
    if explained.status_code == 200:
        assert (explained.json()["decision"]["decision"] == "allow") is evaluated.json()["decision"]


USER = {"type": "user", "id": "alice", "properties": {"role": "admin"}}
RECORD = {"type": "record", "id": "record-1", "properties": {"status": "open"}}
ASKED = {"subject": USER, "action": {"name": "read", "properties": {"soft": True}}, "resource": RECORD, "context": {}}
IN_ORDER: list[tuple[str, dict[str, Any]]] = [
    (EVALUATION, ASKED),
    (EVALUATIONS, {**ASKED, "evaluations": [{}, ASKED], "options": {"evaluations_semantic": "execute_all"}}),
    (SEARCH_SUBJECT, {**ASKED, "subject": {"type": "user"}, "page": {"limit": 2}}),
    (SEARCH_RESOURCE, {**ASKED, "resource": {"type": "record"}, "page": {"limit": 2}}),
    (SEARCH_ACTION, {"subject": USER, "resource": RECORD, "context": {}}),
    (FILTER, {**ASKED, "resource": {"type": "record"}, "fulfils": [], "exact": False, "explain": True}),
    (EXPLAIN, ASKED),
    (AUTHORIZE, {**ASKED, "session": "s", "idempotency_key": "k", "lease": 10}),
    (AUTHORIZATIONS, {"authorizations": [{**ASKED, "session": "s"}, ASKED]}),
    (SESSIONS, {"subject": USER}),
    (RELEASE, {"subject": USER, "text": "to a@b.example", "output": {"id": "o"}, "sources": [RECORD], "session": "s"}),
    (ADMIT, {"subject": USER, "messages": [{"role": "user", "content": "hi"}], "model": {"id": "m"}}),
    (DETOKENIZE, {"subject": USER, "text": "hi", "output": {"id": "o"}}),
]


@st.composite
def nearly_in_order(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A request with one member that is another, missing, beside, or misplaced."""
    path, body = deepcopy(draw(st.sampled_from(IN_ORDER)))
    holder, key = draw(st.sampled_from(list(_members(body))))
    match draw(st.sampled_from(["another", "another", "missing", "beside", "misplaced"])):
        case "another":
            holder[key] = draw(values)
        case "missing":
            del holder[key]
        case "beside" if isinstance(holder, dict):
            holder[draw(names | st.sampled_from(sorted({name for _, each in IN_ORDER for name in each})))] = draw(
                values
            )
        case _:
            body[str(key)] = holder[key]
    return path, body


def _members(value: Any) -> Iterator[tuple[Any, Any]]:
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key
        yield from _members(value[key])


@pytest.mark.fuzz
@given(nearly_in_order())
def test_one_member_that_is_anything(certification: httpx.Client, asked: tuple[str, dict[str, Any]]) -> None:
    path, body = asked
    answer = _post(certification, path, json.dumps(body).encode())
    if path in PATHS:
        _assert_lawful(answer)
    assert answer.status_code < 500, answer.text


@pytest.mark.fuzz
@given(st.binary(max_size=200), st.sampled_from(PATHS))
def test_any_bytes(certification: httpx.Client, body: bytes, path: str) -> None:
    _assert_lawful(_post(certification, path, body))


def _post(client: httpx.Client, path: str, body: bytes) -> httpx.Response:
    return client.post(path, content=body, headers={"Content-Type": "application/json"})


def _assert_lawful(response: httpx.Response) -> None:
    assert response.status_code in (200, 400, 413), response.text
    body = response.json()
    if response.status_code != 200:
        assert set(body) == {"type", "title", "status", "detail", "request_id"}
        return
    if "kind" in body:
        FilterResponse.model_validate(body)
        return
    if "results" in body:
        model = ActionSearchResponse if any("name" in each for each in body["results"]) else EntitySearchResponse
        model.model_validate(body)
        return
    for answer in body.get("evaluations", [body]):
        assert type(answer["decision"]) is bool
        EvaluationResponse.model_validate(answer)
