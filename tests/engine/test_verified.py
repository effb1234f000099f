"""What a caller has verified (`approved`, `metered`) is names of such rules, or TypeError, wherever it is said."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import pytest

from policyengine import Denied, Engine
from policyengine.guard import enforce, guard

POLICIES = """
module t
use ai
permit call: call on Tool for User
permit read: retrieve on Document for User
require ok: call, retrieve on any
  approval(by: Group::"a")
require ok_small: call on Tool
  when tool.id == "small"
  approval(by: Group::"b")
permit ask: invoke on Model for User
limit rate: invoke on Model
  when model.id != "free"
  at most 60 requests per 1m by principal
"""
ANN = {"type": "User", "id": "ann"}
CALL = {"principal": ANN, "action": "call", "resource": {"type": "Tool", "id": "x"}}
INVOKE = {"principal": ANN, "action": "invoke", "resource": {"type": "Model", "id": "m"}}
FREE = {**INVOKE, "resource": {"type": "Model", "id": "free"}}
ENTITIES = [ANN, {"type": "Tool", "id": "x"}, {"type": "Model", "id": "m"}, {"type": "Document", "id": "d"}]


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine.from_text(POLICIES, entities=ENTITIES)


WAYS: dict[str, Callable[[Engine, Any], Any]] = {
    "decide": lambda e, given: e.decide(**CALL, approved=given),
    "decide_many": lambda e, given: e.decide_many([CALL, {**CALL, "approved": given}]),
    "explain": lambda e, given: e.explain(**CALL, approved=given),
    "filter": lambda e, given: e.filter(principal=ANN, action="retrieve", resource_type="Document", approved=given),
    "search_principals": lambda e, given: e.search_principals(
        principal_type="User", action="call", resource=CALL["resource"], approved=given
    ),
    "search_resources": lambda e, given: e.search_resources(
        principal=ANN, action="call", resource_type="Tool", approved=given
    ),
    "search_actions": lambda e, given: e.search_actions(principal=ANN, resource=CALL["resource"], approved=given),
    "guard": lambda e, given: guard(e, **CALL, approved=given)(lambda: "done")(),
}
WRONG = ["t.ok", "", "t.ok_small", b"t.ok", {"t.ok": True}, {}, 5, True, ["ok"], ["t.call"], ["t.rate"], [5], [None]]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("given", WRONG, ids=repr)
def test_anything_else_raises(engine: Engine, way: str, given: Any) -> None:
    with pytest.raises(TypeError, match="approved"):
        WAYS[way](engine, given)


@pytest.mark.parametrize("given", [None, (), [], set(), ["t.ok_small"]], ids=repr)
def test_what_is_not_given_is_missing(engine: Engine, given: Any) -> None:
    assert engine.decide(**CALL, approved=given).approvals[0].rule == "t.ok"
    assert engine.decide_many([{**CALL, "approved": given}])[0].decision == "deny"
    assert engine.explain(**CALL, approved=given).decision.decision == "deny"
    assert engine.search_actions(principal=ANN, resource=CALL["resource"], approved=given) == []
    with pytest.raises(Denied):
        WAYS["guard"](engine, given)


@pytest.mark.parametrize("given", [["t.ok"], ("t.ok",), {"t.ok"}, frozenset({"t.ok"})], ids=repr)
def test_what_is_given_is_there(engine: Engine, given: Any) -> None:
    assert engine.decide(**CALL, approved=given).allowed
    assert [d.decision for d in WAYS["decide_many"](engine, given)] == ["deny", "allow"]
    assert WAYS["explain"](engine, given).decision.allowed
    assert WAYS["filter"](engine, given).matches({"id": "d"})
    assert WAYS["search_principals"](engine, given) == [{"type": "User", "id": "ann"}]
    assert WAYS["search_resources"](engine, given) == [{"type": "Tool", "id": "x"}]
    assert WAYS["search_actions"](engine, given) == ["call"]
    assert WAYS["guard"](engine, given) == "done"


def test_a_guard_finds_the_approvals_of_a_call(engine: Engine) -> None:
    given = {"yes": ["t.ok"], "no": []}

    @guard(engine, **CALL, approved=lambda call: given[call["ticket"]])
    def work(ticket: str) -> str:
        return ticket

    assert work("yes") == "yes"
    with pytest.raises(Denied):
        work("no")


def test_a_wrong_name_is_told_with_the_one_that_is_near(engine: Engine) -> None:
    with pytest.raises(TypeError, match=r"did you mean `t\.ok_small`"):
        engine.decide(**CALL, approved=["t.ok_smal"])


def test_many_decides_nothing_where_one_is_wrong(engine: Engine) -> None:
    asked: list[Any] = [CALL, {**CALL, "approved": "t.ok"}]
    with pytest.raises(TypeError):
        engine.decide_many(iter(asked))


def test_many_gives_to_each_what_it_says_itself(engine: Engine) -> None:
    """Approvals, meters, both, neither, and what is not a request at all, side by side."""
    said: list[dict[str, Any]] = [{}, {"approved": ["t.ok"]}, {"metered": True}, {"approved": {"t.ok"}, "metered": []}]
    asked = [{**one, **each} for each in (*said, *reversed(said)) for one in (CALL, INVOKE, FREE)]
    many = engine.decide_many([None, *asked, {"approved": ["t.ok"]}])
    each = [engine.decide(**{"metered": None, **one}) for one in asked]
    assert [(d, d.metered, d.allowed) for d in many[1:-1]] == [(d, d.metered, d.allowed) for d in each]
    assert [d.allowed for d in many[:4]] == [False, False, False, True]
    assert not many[-1].allowed


@pytest.mark.parametrize("said", [{}, {"approved": ["t.ok"]}], ids=str)
def test_many_denies_a_misspelt_keyword(engine: Engine, said: dict[str, Any]) -> None:
    """The first time as well as later, whatever is approved."""
    asked = {**FREE, **said, "contxt": {}}
    for one in (asked, MappingProxyType(asked)) * 2:
        [decision] = engine.decide_many([one])
        assert (decision.decision, [error.code for error in decision.errors]) == ("deny", ["POL520"])


@pytest.mark.parametrize("given", ["t.rate", b"", {"t.rate": 1}, ["t.ok"], ["rate"], 1], ids=repr)
def test_meters_are_names_of_limits(engine: Engine, given: Any) -> None:
    for ask in (
        lambda: engine.decide(**INVOKE, metered=given),
        lambda: engine.decide_many([{**INVOKE, "metered": given}]),
        lambda: engine.filter(principal=ANN, action="invoke", resource_type="Model", metered=given),
        lambda: guard(engine, **INVOKE, metered=given)(lambda: None)(),
    ):
        with pytest.raises(TypeError, match="metered"):
            ask()


@pytest.mark.parametrize("given", [None, (), [], False], ids=repr)
def test_a_limit_that_nobody_meters_is_not_allowed(engine: Engine, given: Any) -> None:
    decision = engine.decide(**INVOKE, metered=given)
    assert (decision.decision, decision.limits, decision.unmetered) == ("allow", ("t.rate",), ("t.rate",))
    assert not decision.allowed
    assert not decision.allowed_if({"redact"})
    with pytest.raises(Denied, match=r"t\.rate"):
        enforce(decision)
    with pytest.raises(Denied):
        guard(engine, **INVOKE, metered=given)(lambda: None)()
    found = engine.filter(principal=ANN, action="invoke", resource_type="Model", metered=given)
    assert [found.matches({"id": id_}) for id_ in ("m", "free")] == [False, True]
    assert not engine.decide_many([{**INVOKE, "metered": given}])[0].allowed
    assert engine.search_actions(principal=ANN, resource=INVOKE["resource"], metered=given) == []
    assert engine.decide(**FREE).allowed


@pytest.mark.parametrize("given", [True, ["t.rate"], {"t.rate"}], ids=repr)
def test_a_limit_that_the_caller_meters_is(engine: Engine, given: Any) -> None:
    decision = engine.decide(**INVOKE, metered=given)
    assert decision.allowed
    assert decision == engine.decide(**INVOKE)
    assert guard(engine, **INVOKE, metered=given)(lambda: "done")() == "done"
    found = engine.filter(principal=ANN, action="invoke", resource_type="Model", metered=given)
    assert found.matches({"id": "m"})
    assert engine.decide_many([{**INVOKE, "metered": given}])[0].allowed
    assert engine.search_resources(principal=ANN, action="invoke", resource_type="Model", metered=given) == [
        {"type": "Model", "id": "m"}
    ]
