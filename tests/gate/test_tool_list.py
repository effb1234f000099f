"""A list of many tools is what is found out for each of them alone."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from policyengine import Engine
from policyengine.cooperative import at_once
from policyengine.gate.tool_list import ANEW, SLICE, callable_slices
from policyengine.model.request import request
from policyengine.partial.formula import FALSE

DECLARED = """
module lists
use ai
entity ToolGroup {}
extend Tool in ToolGroup { owner?: User, level?: Int }
context chosen?: Tool
tool read(path: String) { sends_outside: false, reads_untrusted: true }
tool look(path: String) { sends_outside: false, reads_untrusted: true }
tool send(to: String) { sends_outside: true, reads_untrusted: false }
tool drop() { sends_outside: true, reads_untrusted: true }
"""
TOOLS = [
    {"type": "Tool", "id": "low", "level": 1},
    {"type": "Tool", "id": "lower", "level": 1, "owner": {"type": "User", "id": "ann"}},
    {"type": "Tool", "id": "high", "level": 9, "owner": {"type": "User", "id": "bob"}},
    {"type": "Tool", "id": "placed", "parents": [{"type": "ToolGroup", "id": "safe"}]},
    {"type": "ToolGroup", "id": "safe"},
]
NAMES = ["read", "look", "send", "drop", "low", "lower", "high", "placed", "unheard", "of", "read", "Read", ""]
RULES = (
    "permit p: call on Tool when not tool.sends_outside",
    'permit p: call on [Tool::"read", Tool::"unheard"]\nforbid f: call on Tool::"read" when tool.reads_untrusted',
    'permit p: call on Tool\nforbid f: call on Tool::"send"\nforbid g: call on [Tool::"send", Tool::"of"]',
    'permit p: call on Tool when tool.id in ["read", "of"]\nforbid f: call on Tool when tool.args.path == "x"',
    'permit p: call on Tool in ToolGroup::"safe"\npermit q: call on Tool when tool in ToolGroup::"safe"',
    'permit p: call on Tool when tool has level and tool.level < 5\n'
    'require r: call on Tool approval(by: Group::"g", within: 1m)',
    "permit p: call on Tool when tool has owner and tool.owner == principal",
    "permit p: call on Tool when context has chosen and tool == context.chosen\n"
    "permit q: call on Tool when context has chosen and context.chosen has level and context.chosen.level == 1",
    'permit p: call on Tool for User\npermit q: call on [Tool::"read", Tool::"low"] for Agent',
    'permit p: call on Tool\nforbid f: call on Tool when tool.id in session.labels\n'
    'forbid g: call on any when tool has level and tool.level > 1',
)  # fmt: skip
ANN: dict[str, Any] = {"type": "User", "id": "ann", "tenant": "acme", "roles": []}
CONTEXTS: list[dict[str, Any]] = [
    {},
    {"agent": {"type": "Agent", "id": "helper", "tenant": "acme", "roles": []}},
    {"chosen": {"type": "Tool", "id": "read", "level": 1}},
    {"chosen": {"type": "Tool", "id": "low"}},
    {"session": {"type": "Session", "id": "s", "labels": ["read", "of"], "grants": [], "calls": []}},
    {"conetxt": 1, "sesion": 2},
]


@pytest.mark.parametrize("rules", RULES)
def test_many_are_each(rules: str) -> None:
    snapshot = Engine.from_text(f"{DECLARED}{rules}\n", entities=TOOLS).snapshot
    met = snapshot.evaluator.met(snapshot.evaluator.approvals, True)
    for context in CONTEXTS:

        def alone(name: str, context: dict[str, Any] = context) -> bool:
            tool = {"type": "Tool", "id": name}
            asked = request(ANN, "call", tool, dict(context))
            return snapshot.partial.residual(asked, "resource", tool, (), met) != FALSE

        shown = at_once(callable_slices(snapshot, ANN, context, NAMES))
        assert shown == [name for name in NAMES if alone(name)], context
        # What is decided about a call without arguments agrees with the list.
        for name in {*NAMES} - {*shown}:
            assert not snapshot.evaluator.decide(ANN, "call", {"type": "Tool", "id": name}, dict(context)).allowed


def test_no_name_lists_nothing() -> None:
    snapshot = Engine.from_text(f"{DECLARED}permit p: call on Tool\n").snapshot
    assert at_once(callable_slices(snapshot, ANN, {}, ["read", 1])) == []  # type: ignore[list-item]
    assert at_once(callable_slices(snapshot, {"type": "User"}, {}, ["read"])) == []


def test_of_many_rules_those_that_name_the_resource_are_asked() -> None:
    rules = "".join(f'permit p{at}: call on Tool::"t{at}" when principal.tenant == "acme"\n' for at in range(40))
    engine = Engine.from_text(f'{DECLARED}{rules}forbid f: call on Tool::"t7"\n')
    gate = engine.session(principal=ANN)
    assert gate.tools(["t3", "t7", "t40", "t39"]) == ["t3", "t39"]
    assert engine.session(principal={**ANN, "tenant": "globex"}).tools(["t3", "t39"]) == []


OF_SESSION = (
    'any c in session.calls: c.tool == "read" and c.completed > 0',
    '"x" in session.labels and not ("y" in session.labels)',
    'session has grants and "pay" in session.grants',
    'any c in history: c.tool == "read" and c.args.path == tool.args.to',
    "tool.args.to in request.named",
    'all r in readers(tool.args.to): r == "bob"',
    'if "x" in session.labels then false else principal.id == "ann"',
    'not ("x" in session.labels or tool.args.to == "eve")',
)


@pytest.mark.parametrize("condition", OF_SESSION)
def test_a_list_for_any_session_hides_what_no_session_could_call(condition: str) -> None:
    tested = f'permit p: call on Tool::"send" when {condition}\nforbid f: call on Tool::"wipe" when not ({condition})\n'
    never = 'permit q: call on Tool::"wipe"\npermit r: call on Tool::"read" when principal.id == "bob"\n'
    marks = "label x: receive on Tool\nlabel y: receive on Tool\n"
    wipe = "tool wipe(to: String) { sends_outside: true, reads_untrusted: true }\n"
    session = Engine.from_text(DECLARED + wipe + tested + never + marks).session(principal=ANN)
    assert session.listed(["read", "send", "wipe"]) == ["send", "wipe"]


def _turns(rules: str, count: int) -> int:
    """How often the event loop has its turn while a session lists so many tools."""
    snapshot = Engine.from_text(f"{DECLARED}{rules}\n").snapshot
    return sum(1 for _ in callable_slices(snapshot, ANN, {}, [f"t{at}" for at in range(count)]))


def test_a_long_list_gives_the_loop_its_turn() -> None:
    alike, apart = "permit p: call on Tool", 'permit p: call on Tool when tool.id like "t*"'
    assert _turns(alike, SLICE - ANEW) == 0
    assert _turns(alike, 5 * SLICE) == 5
    # Of each of these something is found out.
    assert _turns(apart, 1_000) == 999 // -(-SLICE // (1 + ANEW))
    assert _turns(apart, 2_000) <= 2.2 * _turns(apart, 1_000)


def test_a_list_in_turns_is_the_list() -> None:
    engine = Engine.from_text(f"{DECLARED}permit p: call on Tool when not tool.sends_outside\n")
    gate = engine.session(principal=ANN)
    names = [*NAMES, *(f"t{at}" for at in range(3 * SLICE))]
    assert asyncio.run(gate.tools_async(names)) == gate.tools(names)
    assert asyncio.run(gate.listed_async(names)) == gate.listed(names)


def test_who_may_see_arguments_that_are_not_known_hides_nothing() -> None:
    rules = (
        'permit p: call on Tool::"send" when all r in readers(tool.args.to): r == "bob"\n'
        'permit q: call on Tool::"look" when "bob" in readers(tool.args.path)\n'
        'permit s: call on Tool::"read"\nforbid f: call on Tool::"read" when "bob" in readers(tool.args.path)\n'
    )
    session = Engine.from_text(DECLARED + rules).session(principal=ANN)
    assert session.tools(["send", "look", "read", "drop"]) == ["send", "look", "read"]
