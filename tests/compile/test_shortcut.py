"""The shortcut stands for the method of this object and of no other, and for that one as long as it is there."""

from __future__ import annotations

import copy
import gc
import inspect
import pickle
import sys
import threading
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from policyengine import Engine
from policyengine.compile.evaluator import Evaluator
from policyengine.compile.keyword_decider import KeywordDecider
from policyengine.evaluate.combine import denied
from policyengine.model.decision import Decision, RuleError

PERMITS = "use ai\npermit all: retrieve on Document\n"
FORBIDS = "use ai\nforbid all: retrieve on Document\n"
ASKED: dict[str, Any] = {
    "principal": {"type": "User", "id": "ann"},
    "action": "retrieve",
    "resource": {"type": "Document", "id": "d"},
}
DENIAL = denied(RuleError("", "", "not by this one"), "")


@pytest.fixture
def engine() -> Engine:
    made = Engine.from_text(PERMITS)
    # The first time what is careful is made, the second time what is fast.
    assert all(made.decide(**ASKED).allowed for _ in range(3))
    return made


def evaluator(engine: Engine, kind: type[Evaluator] = Evaluator) -> Evaluator:
    snapshot = engine.snapshot
    made = kind(snapshot.policies, snapshot.schema, snapshot.world, snapshot.revision)
    for _ in range(3):
        made.decide(*ASKED.values())
    return made


class Host(KeywordDecider):
    """Decides by one evaluator after the other."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._decides_by(evaluator)


class Denying(Evaluator):
    """Decides in its own way."""

    def decide(self, *_: Any, **__: Any) -> Decision:
        return DENIAL


class Around(Denying):
    """All that another one knows, with a way of its own."""

    def __init__(self, inner: Evaluator) -> None:
        self.__dict__.update(inner.__dict__)


# ---- what answers from now on ----


def test_a_method_that_was_kept_hears_of_a_block(engine: Engine) -> None:
    kept, of_evaluator = engine.decide, engine.snapshot.evaluator.decide
    engine.blocks.block("principal", "ann")
    assert kept(**ASKED).decision == "deny"
    engine.blocks.unblock("principal", "ann")
    assert kept(**ASKED).allowed
    # An evaluator never changes.
    assert of_evaluator(*ASKED.values()).allowed


def test_a_method_that_was_kept_hears_of_a_reload(tmp_path: Path) -> None:
    file = tmp_path / "policy.pol"
    file.write_text(PERMITS)
    engine = Engine.load(file, cache=False)
    kept = engine.decide
    assert all(kept(**ASKED).allowed for _ in range(3))
    file.write_text(FORBIDS)
    assert engine.reload().ok
    assert kept(**ASKED) == engine.decide(**ASKED) == engine.decide_many([ASKED])[0]
    assert kept(**ASKED).decision == "deny"


def test_a_reload_in_the_middle_of_a_call(tmp_path: Path) -> None:
    """The request goes on to somebody, and the next one to what was loaded."""

    class Reloading(str):
        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            engine.reload()
            gc.collect()
            return str.__eq__(self, other)

    file = tmp_path / "policy.pol"
    file.write_text(PERMITS)
    engine = Engine.load(file, cache=False)
    assert all(engine.decide(**ASKED).allowed for _ in range(3))
    before = engine.revision
    file.write_text(FORBIDS)
    found = engine.decide(**{**ASKED, "resource": {"id": "d", Reloading("type"): "Document"}})
    assert engine.revision != before
    assert found.revision in (before, engine.revision)
    assert engine.decide(**ASKED).decision == "deny"


def test_reloads_while_another_thread_asks(engine: Engine) -> None:
    others = [Engine.from_text(text).snapshot.evaluator for text in (PERMITS, FORBIDS)]
    host = Host(others[0])
    kept, seen, over = host.decide, set(), threading.Event()

    def ask() -> None:
        while not over.is_set():
            seen.add(kept(**ASKED).decision)

    asking = threading.Thread(target=ask)
    asking.start()
    for number in range(400):
        host._decides_by(others[number % 2])
        assert host.decide(**ASKED).decision == ("deny" if number % 2 else "allow")
    over.set()
    asking.join()
    assert seen <= {"allow", "deny"}
    assert kept(**ASKED).decision == "deny"


# ---- whose it is ----


@pytest.mark.parametrize("make", [lambda one: Around(one), lambda one: evaluator_of(one)], ids=["around", "made"])
def test_an_evaluator_with_a_way_of_its_own_is_asked(engine: Engine, make: Callable[[Evaluator], Evaluator]) -> None:
    inner = evaluator(engine)
    assert inner.decide(*ASKED.values()).allowed
    other = make(inner)
    assert other.decide(*ASKED.values()) is DENIAL
    assert other.decide_many([ASKED]) == [DENIAL]
    assert other.decide_metered(*ASKED.values(), None) is DENIAL
    assert not other.direct_entries
    host = Host(other)
    for given in (
        ASKED,
        {**ASKED, "context": {}},
        {**ASKED, "metered": True},
        {**ASKED, "action": {"name": "retrieve"}},
    ):
        assert host.decide(**given).decision == "deny", given
    assert inner.decide(*ASKED.values()).allowed


def evaluator_of(one: Evaluator) -> Evaluator:
    return Denying(one._policies, one._schema, one._world)


def test_a_snapshot_with_another_evaluator_answers_by_that(engine: Engine) -> None:
    kept = engine.decide
    engine._publish(replace(engine.snapshot, evaluator=Around(engine.snapshot.evaluator)))
    assert kept(**ASKED).decision == engine.decide(**ASKED).decision == "deny"
    assert engine.decide_many([ASKED])[0].decision == "deny"


def test_a_copy_has_no_shortcut(engine: Engine) -> None:
    one = evaluator(engine)
    other = copy.copy(one)
    assert other.decide(*ASKED.values()).allowed
    other.entries = {}
    other.decide_slowly = lambda *_: DENIAL  # type: ignore[method-assign]
    assert other.decide(*ASKED.values()) is DENIAL
    assert one.decide(*ASKED.values()).allowed
    host = Host(one)
    copied = copy.copy(host)
    copied._decides_by(Around(one))
    assert (host.decide(**ASKED).decision, copied.decide(**ASKED).decision) == ("allow", "deny")
    again = copy.copy(host)
    host._decides_by(Around(one))
    assert (host.decide(**ASKED).decision, again.decide(**ASKED).decision) == ("deny", "allow")


def test_nothing_of_it_is_in_what_is_copied_or_pickled(engine: Engine) -> None:
    for one in (engine, evaluator(engine), Host(evaluator(engine))):
        assert "decide" not in one.__dict__
    assert pickle.loads(pickle.dumps(Engine.decide)) is Engine.decide
    assert copy.copy(Evaluator.decide) is Evaluator.decide


class Plain(KeywordDecider):
    """One whose evaluator travels by another way."""

    def __reduce__(self) -> Any:
        return object.__new__, (Plain,), {"_evaluator": None}


def test_what_comes_out_of_a_pickle_decides_by_what_it_is_told(engine: Engine) -> None:
    one = Plain()
    one._decides_by(evaluator(engine))
    other = pickle.loads(pickle.dumps(one))
    with pytest.raises(AttributeError):
        other.decide(**ASKED)
    other._decides_by(Around(evaluator(engine)))
    assert other.decide(**ASKED).decision == "deny"


# ---- in its place ----


def test_a_method_of_ones_own_is_asked(engine: Engine) -> None:
    class Mine(Engine):
        def decide(self, **asked: Any) -> Any:
            return "mine"

    class Further(Engine):
        def decide(self, **asked: Any) -> Any:
            return super().decide(**asked)

    assert Mine.from_text(PERMITS).decide(**ASKED) == "mine"
    further = Further.from_text(PERMITS)
    assert all(further.decide(**ASKED) == engine.decide(**ASKED) for _ in range(3))
    further.blocks.block("principal", "ann")
    assert further.decide(**ASKED).decision == "deny"


def test_a_method_that_is_replaced_is_asked_no_more(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = engine.decide
    with monkeypatch.context() as patched:
        patched.setattr(Engine, "decide", lambda *_, **__: "the class says so", raising=True)
        assert engine.decide(**ASKED) == "the class says so"
    with monkeypatch.context() as patched:
        patched.setattr(engine, "decide", lambda **_: "the object says so")
        engine.blocks.block("principal", "bob")
        assert engine.decide(**ASKED) == "the object says so"
    assert engine.decide(**ASKED).allowed
    assert kept(**ASKED).allowed


def test_an_evaluator_whose_method_is_replaced(engine: Engine) -> None:
    one = evaluator(engine)
    one.decide = lambda *_, **__: DENIAL  # type: ignore[method-assign]
    assert one.decide_many([ASKED]) == [DENIAL]
    assert Host(one).decide(**ASKED) is DENIAL


def test_anything_else_in_the_place_of_self(engine: Engine) -> None:
    for odd in (None, 5, object(), {}, Plain()):
        with pytest.raises(AttributeError):
            KeywordDecider.decide(odd, **ASKED)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        KeywordDecider.decide()  # type: ignore[call-arg]
    assert KeywordDecider.decide(engine, **ASKED).allowed


@pytest.mark.parametrize("owner", [Engine, Evaluator])
def test_it_looks_like_the_method(owner: Any) -> None:
    method, told = owner.decide, inspect.unwrap(owner.decide)
    assert inspect.isfunction(told)
    for name in ("__name__", "__qualname__", "__module__", "__doc__"):
        assert getattr(method, name) == getattr(told, name)
    assert inspect.signature(method) == inspect.signature(told)
    assert inspect.isroutine(method)


def test_nobody_is_kept_alive(engine: Engine) -> None:
    one, host = evaluator(engine), Host(evaluator(engine))
    assert one.decide(*ASKED.values()).allowed
    assert host.decide(**ASKED).allowed
    gone = [weakref.ref(one), weakref.ref(host), weakref.ref(host._evaluator)]
    del one, host
    gc.collect()
    assert [each() for each in gone] == [None, None, None]


def test_no_decision_is_kept_alive(engine: Engine) -> None:
    """Decisions about a principal and its agents are remembered as well, and each reload makes new ones."""
    made = evaluator(engine)
    agent = {"type": "Agent", "id": "a", "delegated_by": {"type": "Agent", "id": "b"}}
    for _ in range(4):
        decision = made.decide(*ASKED.values(), {"agent": agent})
    assert decision.allowed
    kept = sys.getrefcount(decision)
    del made
    gc.collect()
    assert sys.getrefcount(decision) == 2 < kept
