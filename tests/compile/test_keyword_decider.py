"""`Engine.decide` in C and in Python: the same for whatever it is called with."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from policyengine import Engine
from policyengine.compile.evaluator import Evaluator
from policyengine.compile.keyword_decider import KeywordDecider
from tests.support.requests import HOSTILE

POLICY = """use ai
extend Document { signed?: Bool }
permit own: retrieve on Document when document.tenant == principal.tenant
require signed: retrieve on Document when document has signed approval(by: Group::"lead", within: 15m)
limit few: retrieve on Document when document.tenant == "c" at most 3 requests per 1h by principal
"""
ANN: dict[str, Any] = {"type": "User", "id": "ann", "tenant": "a"}
DOCUMENT: dict[str, Any] = {"type": "Document", "id": "d", "tenant": "a"}
SIGNED: dict[str, Any] = {**DOCUMENT, "signed": True}


# The method that the one in C stands for.
IN_PYTHON: Any = inspect.unwrap(KeywordDecider.decide)


class _Text(str):
    __slots__ = ()


def told(call: Any, *args: Any, **kwargs: Any) -> Any:
    try:
        return call(*args, **kwargs)
    except TypeError as error:
        return str(error)


CALLS: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    ((), {"principal": ANN, "action": "retrieve", "resource": DOCUMENT}),
    ((), {"principal": ANN, "action": "retrieve", "resource": DOCUMENT, "context": {}}),
    ((), {"principal": ANN, "action": "retrieve", "resource": DOCUMENT, "context": None}),
    ((), {"principal": ANN, "action": "retrieve", "resource": DOCUMENT, "context": {"agent": ANN}}),
    ((), {"resource": DOCUMENT, "action": "retrieve", "principal": ANN}),
    ((), {"principal": ANN, "action": {"name": "retrieve"}, "resource": DOCUMENT}),
    ((), {"principal": ANN, "action": _Text("retrieve"), "resource": DOCUMENT}),
    ((), {"principal": ANN, "action": "retrieve", "resource": DOCUMENT, "approved": ["signed"]}),
    ((), {"principal": ANN, "action": "retrieve", "resource": SIGNED, "approved": ["signed"]}),
    ((), {"principal": ANN, "action": "retrieve", "resource": SIGNED, "context": {}, "approved": ["signed"]}),
    ((), {"principal": ANN, "action": {"name": "retrieve"}, "resource": SIGNED, "approved": ["signed"]}),
    ((), {"principal": ANN, "action": "retrieve", "resource": SIGNED, "approved": ["signed", "signed"]}),
    ((), {"principal": ANN, "action": "retrieve", "resource": SIGNED, "approved": [_Text("signed")]}),
    ((), {"principal": ANN, "action": "retrieve", "resource": SIGNED, "approved": ("signed",)}),
    ((), {"principal": ANN, "action": "retrieve", "resource": SIGNED, "approved": {"signed"}}),
    ((), {"principal": ANN, "action": "retrieve", "resource": SIGNED, "approved": "signed"}),
    ((), {"principal": ANN, "action": "retrieve", "resource": SIGNED, "approved": []}),
    ((), {"principal": ANN, "action": "retrieve", "resource": SIGNED, "approved": None}),
    ((), {"principal": ANN, "action": "retrieve", "approved": ["signed"], "resource": SIGNED}),
    ((), {"principal": ANN, "action": "retrieve", "resource": SIGNED, "approved": ["signed"], "context": {}}),
    ((), {"principal": ANN, "action": "retrieve", "resource": SIGNED, "approved": ["signed"], "metered": True}),
    ((), {"principal": ANN, "action": "retrieve", "resource": DOCUMENT, "approved": ["no such"]}),
    ((), {"principal": ANN, "action": "retrieve", "resource": {}, "approved": ["no such"]}),
    ((), {"principal": ANN, "action": "retrieve", "resource": DOCUMENT, "metered": True}),
    ((), {"principal": ANN, "action": "retrieve", "resource": DOCUMENT, "more": 1}),
    ((), {"principal": ANN, "action": "retrieve"}),
    ((ANN, "retrieve", DOCUMENT), {}),
    ((ANN, "retrieve", DOCUMENT, {}), {}),
    ((ANN,), {"principal": ANN, "action": "retrieve", "resource": DOCUMENT}),
    ((), {}),
]
ODD = [
    *HOSTILE,
    {},
    {"type": "Document"},
    {"type": _Text("Document"), "id": "d"},
    {**DOCUMENT, "tenant": "b"},
    {**DOCUMENT, "tenant": "c"},
]


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine.from_text(POLICY)


@pytest.mark.parametrize("call", CALLS, ids=lambda call: ",".join(call[1]) or "none")
def test_however_it_is_called(engine: Engine, call: tuple[tuple[Any, ...], dict[str, Any]]) -> None:
    for _ in range(3):
        assert told(engine.decide, *call[0], **call[1]) == told(IN_PYTHON, engine, *call[0], **call[1])


@pytest.mark.parametrize("place", ["principal", "action", "resource", "context"])
def test_whatever_stands_there(engine: Engine, place: str) -> None:
    for odd in ODD:
        asked = {"principal": ANN, "action": "retrieve", "resource": DOCUMENT, "context": {}, place: odd}
        for _ in range(3):
            assert told(engine.decide, **asked) == told(IN_PYTHON, engine, **asked), odd


@pytest.mark.parametrize("place", ["principal", "action", "resource", "context", "approved"])
def test_an_evaluator_is_the_one_without_c(engine: Engine, place: str) -> None:
    snapshot = engine.snapshot
    parts = snapshot.policies, snapshot.schema, snapshot.world, snapshot.revision
    fast, plain = Evaluator(*parts), Evaluator(*parts, native=None)
    for odd in [*ODD, {"name": "retrieve"}, {"name": "retrieve", "type": "x"}, ["signed"], ("signed",), ["no such"]]:
        asked = {"principal": ANN, "action": "retrieve", "resource": SIGNED, "context": {}, "approved": (), place: odd}
        for given in (asked, {name: part for name, part in asked.items() if name != "approved"}):
            for _ in range(3):
                expected = told(plain.decide, *given.values())
                assert told(fast.decide, *given.values()) == expected, odd
                assert told(fast.decide, **given) == expected, odd


def test_what_ends_a_process_is_not_swallowed(engine: Engine) -> None:
    class Ending(str):
        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine.decide(principal=ANN, action="retrieve", resource={Ending("type"): "Document", "id": "d"})


def test_it_says_what_it_takes(engine: Engine) -> None:
    assert list(inspect.signature(engine.decide).parameters) == list(inspect.signature(Engine.decide).parameters)[1:]
