"""A part of a request that is not what it should be is not taken for one that is empty, whoever is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from policyengine import Engine, NotReleased
from policyengine.authzen.endpoints import AUTHORIZE, EXPLAIN
from policyengine.client import Client, Unavailable
from policyengine.diagnostics import codes
from tests.server.serving import EVALUATION, EVALUATIONS, serving

POLICIES = """module m

use ai

permit read: retrieve on Document
permit call: call on Tool when not "closed" in session.labels
permit ask: invoke on Model
permit release: release on Output
permit detokenize: detokenize on Output
"""
ANN = {"type": "User", "id": "ann"}
TOOL = {"type": "Tool", "id": "t", "args": {}}
DOCUMENT = {"type": "Document", "id": "d"}
MODEL = {"type": "Model", "id": "m"}
OUTPUT = {"type": "Output", "id": "o"}
# What `or {}` and `dict(...)` take for an object.
NO_OBJECTS: tuple[Any, ...] = ([], (), "", 0, False, set(), [("cost", 1)], [[]], "ab", 1.5)

Answer = Callable[..., Any]


def _streamed(engine: Engine, given: dict[str, Any]) -> bool:
    try:
        return list(engine.release_stream(iter(["hello"]), **{"principal": ANN, "output": OUTPUT, **given})) != []
    except NotReleased:
        return False


def _decisions(engine: Engine) -> dict[str, Answer]:
    """Each with all that a good request says; what is given replaces it."""
    session = engine.sessions.open(ANN)
    read = {"principal": ANN, "action": "retrieve", "resource": DOCUMENT}
    call = {"principal": ANN, "action": "call", "resource": TOOL, "session": session}
    return {
        "decide": lambda **given: engine.decide(**{**read, **given}),
        "decide_many": lambda **given: engine.decide_many([{**read, **given}])[0],
        "explain": lambda **given: engine.explain(**{**read, **given}).decision,
        "authorize": lambda **given: engine.authorize(**{**read, **given}),
        "authorize in a session": lambda **given: engine.authorize(**{**call, **given}),
        "authorize_async": lambda **given: asyncio.run(engine.authorize_async(**{**call, **given})),
        "authorize_many": lambda **given: engine.authorize_many([{**call, **given}])[0],
        "admit": lambda **given: engine.admit("hello", **{"principal": ANN, "model": MODEL, **given}),
        "release": lambda **given: engine.release("hello", **{"principal": ANN, "output": OUTPUT, **given}),
        "release_stream": lambda **given: _streamed(engine, given),
        "detokenize": lambda **given: engine.detokenize("hello", **{"principal": ANN, "output": OUTPUT, **given}),
        "filter": lambda **given: engine.filter(
            **{"principal": ANN, "action": "retrieve", "resource_type": "Document", **given}
        ).matches(DOCUMENT),
    }


ENGINE = Engine.from_text(POLICIES, entities=[{"type": "Document", "id": "d"}, {"type": "User", "id": "ann"}])
DECISIONS = _decisions(ENGINE)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder: Path = tmp_path_factory.mktemp("policies")
    (folder / "m.pol").write_text(POLICIES, encoding="utf-8")
    with serving(folder) as asking:
        yield asking


@pytest.mark.parametrize("name", DECISIONS)
def test_what_is_in_order_is_allowed(name: str) -> None:
    assert DECISIONS[name]()
    assert DECISIONS[name](context={})
    assert DECISIONS[name](context=None)


@pytest.mark.parametrize("given", NO_OBJECTS, ids=repr)
@pytest.mark.parametrize("name", DECISIONS)
def test_a_context_that_is_no_object_is_denied(name: str, given: Any) -> None:
    assert not DECISIONS[name](context=given)


@pytest.mark.parametrize("given", NO_OBJECTS, ids=repr)
@pytest.mark.parametrize(
    ("name", "part"),
    [("release", "output"), ("release_stream", "output"), ("detokenize", "output"), ("filter", "resource")],
)
def test_attributes_that_are_no_object_are_denied(name: str, part: str, given: Any) -> None:
    assert not DECISIONS[name](**{part: given})


@pytest.mark.parametrize("name", ["release", "release_stream"])
@pytest.mark.parametrize("source", [None, 0, False, "d", 1.5, ("a", "b"), [None]], ids=repr)
def test_a_source_that_is_no_document_is_not_passed_over(name: str, source: Any) -> None:
    assert DECISIONS[name](sources=[DOCUMENT])
    assert not DECISIONS[name](sources=[DOCUMENT, source])


@pytest.mark.parametrize("given", NO_OBJECTS, ids=repr)
def test_a_search_finds_nothing(given: Any) -> None:
    by = {"principal": ANN, "action": "retrieve", "resource_type": "Document"}
    whom = {"principal_type": "User", "action": "retrieve", "resource": DOCUMENT}
    assert ENGINE.search_resources(**by)
    assert ENGINE.search_principals(**whom)
    for more in ({"context": given}, {"resource": given}):
        assert ENGINE.search_resources(**by, **more) == []
    for more in ({"context": given}, {"principal": given}):
        assert ENGINE.search_principals(**whom, **more) == []
    assert ENGINE.search_actions(principal=ANN, resource=DOCUMENT, context=given) == []


@pytest.mark.parametrize("given", NO_OBJECTS, ids=repr)
def test_a_session_of_the_gate_is_not_begun(given: Any) -> None:
    for more in ({"context": given}, {"principal": given}, {"agent": given}):
        with pytest.raises(TypeError):
            ENGINE.session(**{"principal": ANN, **more})
        with pytest.raises(TypeError):
            asyncio.run(ENGINE.session_async(**{"principal": ANN, **more}))


@pytest.mark.parametrize("name", ["decide_many", "authorize_many"])
def test_an_agent_beside_the_context_is_not_passed_over(name: str) -> None:
    try:
        decided = DECISIONS[name](agent={"type": "Agent", "id": "a"})
    except TypeError:
        return
    assert [error.code for error in decided.errors] == [codes.MISSPELT_NAME.id]


@pytest.mark.parametrize("path", [EVALUATION, EVALUATIONS, AUTHORIZE, EXPLAIN])
def test_nor_is_it_over_http(served: httpx.Client, path: str) -> None:
    asked = {"subject": ANN, "action": {"name": "retrieve"}, "resource": DOCUMENT}
    misplaced = {**asked, "agent": {"type": "Agent", "id": "a"}}
    for body, allowed in ((asked, True), (misplaced, False)):
        bodies = [body] if path != EVALUATIONS else [{"evaluations": [body]}, {**body, "evaluations": [{}]}]
        for each in bodies:
            answer = served.post(path, json=each).json()
            first = answer["evaluations"][0] if path == EVALUATIONS else answer
            said = first["decision"]["allowed"] if path == EXPLAIN else first["decision"]
            assert said is allowed, (each, answer)


# ---- the client ----


@pytest.fixture(scope="module")
def client(served: httpx.Client) -> Iterator[Client]:
    with Client(str(served.base_url)) as asking:
        yield asking


def _asked(client: Client, **given: Any) -> Iterable[Answer]:
    asked = {"principal": ANN, "action": "retrieve", "resource": DOCUMENT, **given}
    by = {name: each for name, each in asked.items() if name != "resource"}
    yield lambda: client.explain(**asked)
    yield lambda: client.filter(**by, resource_type="Document")
    yield lambda: client.search_resources(**by, resource_type="Tool")
    yield lambda: client.search_actions(**{name: each for name, each in asked.items() if name != "action"})


@pytest.mark.parametrize("part", ["context", "principal"])
@pytest.mark.parametrize("given", NO_OBJECTS, ids=repr)
def test_a_client_asks_nothing_else(client: Client, part: str, given: Any) -> None:
    asked = {"principal": ANN, "action": "retrieve", "resource": DOCUMENT}
    assert client.decide(**asked).allowed
    assert not client.decide(**{**asked, part: given}).allowed
    assert not client.decide(**{**asked, part: given}, metered=True).allowed
    assert not any(decision.allowed for decision in client.decide_many([{**asked, part: given}]))
    for ask in _asked(client, **{part: given}):
        with pytest.raises(Unavailable):
            ask()


@pytest.mark.parametrize("key", [5, 1.5, True, None], ids=repr)
def test_a_client_makes_no_text_of_a_key(client: Client, key: Any) -> None:
    """JSON has texts for keys, and Python's writer makes one of a number. To an engine `5` is no name."""
    for labels in ({key: 1}, {"a": [{"b": {key: 1}}]}, ({key: 1},)):
        for context in ({"labels": labels}, labels if isinstance(labels, dict) else None):
            if context is not None:
                decided = client.decide(principal=ANN, action="retrieve", resource=DOCUMENT, context=context)
                assert (decided.decision, decided.errors[0].code) == ("deny", "unavailable")
        assert not client.decide(principal=ANN, action="retrieve", resource={**DOCUMENT, "labels": labels}).allowed


def test_a_client_passes_over_no_part_of_one_of_many(client: Client) -> None:
    asked = {"principal": ANN, "action": "retrieve", "resource": DOCUMENT}
    assert client.decide_many([asked])[0].allowed
    for more in ({"contxt": {}}, {"agent": {"type": "Agent", "id": "a"}}, {"approved": ["m.read"]}):
        assert not any(decision.allowed for decision in client.decide_many([{**asked, **more}]))
