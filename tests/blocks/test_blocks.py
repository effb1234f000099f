"""A block denies at every entry point, whatever the policies say, and nobody else."""

from __future__ import annotations

from typing import Any

import pytest

from policyengine import Engine
from policyengine.blocks.block import Block, read_id
from policyengine.blocks.denylist import Denylist
from policyengine.callers.tenancy import Tenancy, tenants_of
from policyengine.model.decision import Decision
from tests.events.test_events import Heard

POLICIES = """
module p
use ai
tool send()

permit models: invoke on Model
permit tools: call on Tool
permit documents: retrieve on Document

limit rate: invoke on Model
  at most 100 requests per 1h by principal
"""
ANN: dict[str, Any] = {"type": "User", "id": "ann", "tenant": "acme"}
BOT: dict[str, Any] = {"type": "Agent", "id": "bot"}
MODEL: dict[str, Any] = {"type": "Model", "id": "m"}
TOOL: dict[str, Any] = {"type": "Tool", "id": "send", "args": {}}
BY_BOT = {"agent": BOT}
OF_ACME = {"tenant": {"type": "Tenant", "id": "acme"}}
IN_S = {"session": {"type": "Session", "id": "s-1", "labels": [], "calls": [], "started": "2026-01-01T00:00:00Z"}}


@pytest.fixture
def engine() -> Engine:
    entities = [{"type": "User", "id": "ann", "tenant": "acme"}, {**MODEL}, {"type": "Model", "id": "n"}]
    return Engine.from_text(POLICIES, entities=entities)


# Whom a block stops: kind, id, what is asked, and something that is not stopped.
WHO: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("principal", "ann", {}, {"principal": {**ANN, "id": "bob"}}),
    ("principal", 'User::"ann"', {}, {"principal": {**BOT, "id": "ann"}}),
    ("tenant", "acme", {"context": OF_ACME}, {"principal": {**ANN, "id": "x", "tenant": "other"}}),
    ("tenant", "acme", {}, {"principal": {"type": "User", "id": "x"}, "context": {}}),
    ("agent", "bot", {"context": BY_BOT}, {}),
    ("agent", "bot", {"principal": BOT}, {"principal": {**ANN, "id": "bot"}}),
    ("principal", "bot", {"context": BY_BOT}, {}),
    ("model", "m", {}, {"resource": {**MODEL, "id": "n"}}),
    ("tool", "send", {"action": "call", "resource": TOOL}, {}),
    ("session", "s-1", {"context": IN_S}, {"context": {"session": {**IN_S["session"], "id": "s-2"}}}),
]


def asked(**changed: Any) -> dict[str, Any]:
    return {"principal": ANN, "action": "invoke", "resource": MODEL, **changed}


def decisions(engine: Engine, request: dict[str, Any]) -> list[Decision]:
    """What every way of deciding says."""
    return [
        engine.decide(**request),
        engine.decide(**request, metered=True),
        engine.decide_many([request, {**request, "metered": True}])[1],
        engine.decide_many([{"principal": 5}, request])[1],
        engine.snapshot.evaluator.decide_met(*request.values(), *([None] * (4 - len(request))), met=frozenset()),
    ]


@pytest.mark.parametrize(("kind", "id_", "stopped", "other"), WHO)
def test_a_block_stops_whom_it_names_and_nobody_else(
    engine: Engine, kind: Any, id_: str, stopped: dict[str, Any], other: dict[str, Any]
) -> None:
    assert all(each.decision == "allow" for each in decisions(engine, asked(**stopped)))
    engine.blocks.block(kind, id_, why="it misbehaves")
    for each in decisions(engine, asked(**stopped)):
        assert (each.decision, each.reasons) == ("deny", (f"the {kind} is blocked: it misbehaves",))
        assert [error.code for error in each.errors] == ["POL570"]
    assert all(each.decision == "allow" for each in decisions(engine, asked(**other)))
    engine.blocks.unblock(kind, id_)
    assert all(each.decision == "allow" for each in decisions(engine, asked(**stopped)))


def test_explain_authorize_and_search_are_stopped(engine: Engine) -> None:
    assert engine.authorize(**asked()).allowed
    engine.blocks.block("principal", "ann")
    grant = engine.authorize(**asked())
    assert not grant.allowed
    assert grant.decision.reasons == ("the principal is blocked",)
    assert [each.allowed for each in engine.authorize_many([asked(), asked(principal={**ANN, "id": "bob"})])] == [
        False, True,
    ]  # fmt: skip
    assert engine.explain(**asked()).decision.decision == "deny"
    found = {"action": "invoke", "metered": True}
    assert engine.search_principals(**found, principal_type="User", resource=MODEL) == []
    assert engine.search_resources(**found, principal=ANN, resource_type="Model") == []
    assert engine.search_actions(principal=ANN, resource=MODEL, metered=True) == []


def test_a_search_leaves_out_what_is_blocked(engine: Engine) -> None:
    engine.blocks.block("model", "m")
    engine.blocks.block("tool", "send")
    found = engine.search_resources(principal=ANN, action="invoke", resource_type="Model", metered=True)
    assert [each["id"] for each in found] == ["n"]
    assert engine.search_resources(principal=ANN, action="call", resource_type="Tool", resource={"args": {}}) == []


def test_a_filter_is_of_what_is_not_blocked(engine: Engine) -> None:
    of_models = {"principal": ANN, "action": "invoke", "resource_type": "Model", "metered": True}
    of_documents = {"principal": ANN, "action": "retrieve", "resource_type": "Document"}
    engine.blocks.block("model", "m")
    found = engine.filter(**of_models)
    assert found.recheck([MODEL, {**MODEL, "id": "n"}]) == [{**MODEL, "id": "n"}]
    assert engine.filter(**of_documents).recheck([{"type": "Document", "id": "d"}])
    engine.blocks.block("tenant", "acme")
    for keywords in (of_models, of_documents):
        stopped = engine.filter(**keywords)
        assert stopped.kind.value == "never"
        assert [error.code for error in stopped.errors] == ["POL570"]


def test_a_session_is_blocked_by_its_id_although_no_rule_reads_it(engine: Engine) -> None:
    assert engine.authorize(**asked(), session="s-1").allowed
    engine.blocks.block("session", "s-1")
    assert not engine.authorize(**asked(), session="s-1").allowed
    assert engine.authorize(**asked(), session="s-2").allowed


def test_a_retry_of_what_was_granted_is_denied_once_it_is_blocked(engine: Engine) -> None:
    assert engine.authorize(**asked(), idempotency_key="k").allowed
    engine.blocks.block("principal", "ann")
    assert not engine.authorize(**asked(), idempotency_key="k").allowed


def test_a_block_outlives_a_reload(engine: Engine) -> None:
    engine.blocks.block("principal", "ann")
    assert engine.reload().ok
    assert not engine.decide(**asked(), metered=True).allowed


def test_a_malformed_request_is_denied_as_ever(engine: Engine) -> None:
    engine.blocks.block("principal", "ann")
    for odd in (None, 5, {}, {"type": "User"}, {"type": 5, "id": "ann"}):
        assert engine.decide(principal=odd, action="invoke", resource=MODEL).decision == "deny"  # type: ignore[arg-type]


def test_the_list_says_who_when_and_why(engine: Engine) -> None:
    engine.blocks.block("principal", 'User::"ann"', seconds=60, why="w", by="ops")
    engine.blocks.block("model", "m")
    model, ann = engine.blocks.list()
    assert (model.kind, model.until, model.shown) == ("model", 0, "m")
    assert (ann.shown, ann.why, ann.by, ann.until - ann.at) == ('User::"ann"', "w", "ops", 60_000_000)
    engine.blocks.unblock("model", "m")
    assert [block.kind for block in engine.blocks.list()] == ["principal"]


def test_lifting_a_block_names_it_as_it_was_set(engine: Engine) -> None:
    engine.blocks.block("principal", "ann")
    engine.blocks.unblock("principal", 'User::"ann"')
    assert not engine.decide(**asked(), metered=True).allowed


@pytest.mark.parametrize(
    ("kind", "id_", "seconds"),
    [
        ("user", "ann", None),
        ("principal", "", None),
        ("principal", "x" * 513, None),
        ("principal", "a", 0),
        ("model", "m", -1),
    ],
)
def test_what_names_nobody_is_refused(engine: Engine, kind: Any, id_: str, seconds: float | None) -> None:
    with pytest.raises(ValueError, match=r"block|id"):
        engine.blocks.block(kind, id_, seconds=seconds)
    assert engine.blocks.list() == ()


def test_blocks_are_told() -> None:
    heard = Heard()
    engine = Engine.from_text(POLICIES, events=heard)
    engine.blocks.block("tenant", "acme", why="w", by="ops")
    engine.blocks.unblock("tenant", "acme", by="ops")
    assert [(event.kind, event.tenant) for event in heard.events] == [
        ("state.blocked", "acme"),
        ("state.unblocked", "acme"),
    ]
    assert heard.events[0].fields == {"kind": "tenant", "id": "acme", "why": "w", "by": "ops", "until": 0}


def test_nothing_stands_in_the_way_where_nobody_is_blocked(engine: Engine) -> None:
    """The snapshot is the one that was loaded: deciding costs what it always did."""
    before = engine.snapshot
    engine.blocks.block("model", "m")
    assert engine.snapshot is not before
    engine.blocks.unblock("model", "m")
    assert engine.snapshot is before
    assert engine.snapshot.blocks.is_empty


def test_a_list_that_is_not_known_stops_everybody(engine: Engine) -> None:
    unknown = Denylist(unknown=True)
    snapshot = engine.snapshot
    denial = unknown.denial(ANN, "invoke", MODEL, None, snapshot.world, snapshot.schema, "r")
    assert denial is not None
    assert (denial.decision, denial.errors[0].code) == ("deny", "POL571")


def test_ids_are_written_with_a_type_or_without() -> None:
    assert read_id("ann") == ("", "ann")
    assert read_id('User::"a\\"b"') == ("User", 'a"b')
    assert read_id(Block("principal", 'a"b', "User").shown) == ("User", 'a"b')
    with pytest.raises(ValueError, match="double quotes"):
        read_id('User::"a"b"')


@pytest.mark.parametrize(
    ("tenancy", "principal"),
    [
        (Tenancy(attribute="org"), {"org": "acme"}),
        (Tenancy(attributes={"User": "company"}), {"company": "acme"}),
        (Tenancy(attribute=None, separator="/"), {"id": "acme/ann"}),
    ],
)
def test_a_tenant_is_blocked_wherever_it_stands(tenancy: Tenancy, principal: dict[str, str]) -> None:
    engine = Engine.from_text(POLICIES)
    engine.find_tenants(tenants_of(tenancy))
    asked: dict[str, Any] = {
        "principal": {**ANN, "tenant": "other", **principal},
        "action": "invoke",
        "resource": MODEL,
    }
    assert engine.decide(**asked, metered=True).allowed
    engine.blocks.block("tenant", 'Tenant::"acme"')
    assert engine.decide(**asked, metered=True).errors[0].code == "POL570"
    assert not engine.authorize(**asked).allowed
