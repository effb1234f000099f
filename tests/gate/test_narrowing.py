"""What a task leaves a session, and what the session did so far."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from policyengine import Engine
from policyengine.state.session_calls import UnknownSession

POLICIES = """
module gate
use ai

tool read_web(url: String) { sends_outside: false, reads_untrusted: true }
tool pay(to: String) { sends_outside: true, reads_untrusted: false }
tool create(title: String) { sends_outside: false, reads_untrusted: false }
tool delete(id: String) { sends_outside: false, reads_untrusted: false }

permit use: call on [Tool::"read_web", Tool::"pay", Tool::"create"] for User
permit named: call on Tool::"read_web" for Agent when tool.args.url in request.named
permit own: call on Tool::"delete" for User
  when any made in history: made.tool == "create" and made.result.id == tool.args.id

forbid task: call on Tool
  when session has grants and not (tool.id in session.grants)
"""
PAYEES = """
forbid payees: call on Tool::"pay"
  when session has grants
  unless any g in session.grants: g.tool == "pay" and (not (g has to) or g.to == tool.args.to)
"""
ANN = {"type": "User", "id": "ann", "tenant": "acme", "roles": []}
BOB = ANN | {"id": "bob"}


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine.from_text(POLICIES)


def test_grants_only_ever_become_fewer(engine: Engine) -> None:
    gate = engine.session(principal=ANN)
    assert gate.call("read_web", {"url": "x"})
    gate.narrow(["read_web", "create"])
    assert gate.call("read_web", {"url": "x"})
    gate.narrow(["create", "delete", "pay"])
    assert not gate.call("read_web", {"url": "x"})
    assert gate.call("create", {"title": "x"})
    gate.narrow(["read_web", "create", "delete", "pay"])
    assert not gate.call("read_web", {"url": "x"})
    assert engine.sessions.read(gate.id, ANN).grants == ("create",)
    gate.narrow([])
    assert not gate.call("create", {"title": "x"})
    assert engine.sessions.read(gate.id, ANN).grants == ()


def test_a_grant_may_be_an_object() -> None:
    engine = Engine.from_text(POLICIES[: POLICIES.index("forbid task")] + PAYEES)
    gate = engine.session(principal=ANN, grants=[{"tool": "pay", "to": "X-1"}, {"tool": "create"}])
    assert [gate.call("pay", {"to": to}).allowed for to in ("X-1", "X-2")] == [True, False]
    gate.narrow([{"tool": "pay"}])
    assert not gate.call("pay", {"to": "X-1"})


def test_grants_are_no_labels_and_nothing_takes_them_away(engine: Engine) -> None:
    gate = asyncio.run(engine.session_async(principal=ANN, grants=["create"]))
    held = engine.sessions.read(gate.id, ANN)
    assert (held.labels, held.grants) == ((), ("create",))
    stored = '\x1fgrants:["\\"create\\""]'
    for wrong in ([stored], [1], "create"):
        with pytest.raises(TypeError):
            engine.sessions.remove_labels(gate.id, ANN, labels=wrong)
        with pytest.raises(TypeError):
            engine.sessions.record_result(gate.id, ANN, labels=wrong)
    asyncio.run(gate.narrow_async(["pay"]))
    again = engine.session(principal=ANN, id=gate.id)
    assert not again.call("create", {"title": "x"})


@pytest.mark.parametrize("grants", ["create", {"to": "x"}, [1], [None], [["x"]], b"create", ["x", {}]])
def test_what_is_no_grant_is_refused(engine: Engine, grants: Any) -> None:
    gate = engine.session(principal=ANN)
    with pytest.raises(TypeError):
        gate.narrow(grants)
    with pytest.raises(ValueError, match="at most"):
        gate.narrow([str(n) for n in range(300)])


def test_nobody_narrows_or_resumes_the_session_of_another(engine: Engine) -> None:
    gate = engine.session(principal=ANN)
    with pytest.raises(UnknownSession):
        engine.session(principal=BOB, id=gate.id, grants=["create"])
    assert gate.call("create", {"title": "x"})


def test_a_list_follows_what_is_granted_and_what_the_user_said(engine: Engine) -> None:
    gate = engine.session(principal=ANN, grants=["create"])
    assert gate.tools(["read_web", "create", "delete"]) == ["create"]
    agent = engine.session(principal={"type": "Agent", "id": "a", "tenant": "acme"}, prompt="read acme.com/a1")
    assert agent.tools(["read_web", "pay"]) == ["read_web"]


def test_only_what_this_session_made(engine: Engine) -> None:
    gate = engine.session(principal=ANN)
    assert not gate.call("delete", {"id": "e-1"})
    made = gate.call("create", {"title": "e-9"})
    gate.observe(made, {"id": "e-1"})
    gate.observe(gate.call("read_web", {"url": "x"}), {"id": "e-2"})
    assert [gate.call("delete", {"id": id_}).allowed for id_ in ("e-1", "e-2", "e-9")] == [True, False, False]
    gate.observe(made, "e-3")
    assert gate.call("delete", {"id": "e-1"})
    assert not gate.call("delete", {"id": "e-3"})
    assert not engine.session(principal=ANN, id=gate.id).call("delete", {"id": "e-1"})


def test_a_history_that_is_not_known_in_full_is_none(engine: Engine) -> None:
    gate = engine.session(principal=ANN)
    made = gate.call("create", {"title": "x"})
    gate.observe(made, {"id": "e-1"})
    assert gate.call("delete", {"id": "e-1"})
    gate.observe(made, {"id": "e-2", "text": "x " * 600_000})
    assert not gate.call("delete", {"id": "e-1"})
    odd = engine.session(principal=ANN)
    odd.observe(odd.call("create", {"title": "x"}), {"id": object()})
    assert odd.call("create", {"title": "x"})
