"""What is peculiar to the Claude Agent SDK: agents within, hooks that fail, permissions, and tools of the program."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import pytest
from claude_agent_sdk import AgentDefinition, ClaudeAgentOptions, HookMatcher, query

from policyengine import Engine
from policyengine.integrations import claude_agent
from policyengine.integrations.claude_agent import protect
from tests.integrations.agents.host_claude_agent import PREFIX, named, options
from tests.integrations.agents.model_api import answering
from tests.integrations.agents.world import ANN, APPROVED, POLICIES, Ran, Script, Tools, approve_all

PROGRAM = POLICIES + (
    "tool Agent(subagent_type: String, description: String, prompt: String) "
    "{ sends_outside: false, reads_untrusted: false }\n"
    "tool Bash(command: String, description: String) { sends_outside: false, reads_untrusted: true }\n"
    'permit program: call on [Tool::"Agent", Tool::"Bash"] for User\n'
    'forbid other: call on Tool::"Bash" unless tool.args.command == "echo seen" because "only echo is needed"\n'
)


def play(script: Script, inner: Script = (), engine: Engine | None = None, **more: Any) -> tuple[Ran, Tools]:
    ran, tools = Ran(), Tools()

    async def work() -> None:
        session = (engine or Engine.from_text(PROGRAM)).session(principal=ANN, prompt="write to bob@acme.com")
        with (
            tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home,
            answering(script, ran, PREFIX, inner) as url,
        ):
            gated = protect(options(url, tools.functions(), home, **more), session, named=named, engine=engine)
            async for _ in query(prompt="write to bob@acme.com", options=gated):
                pass

    asyncio.run(work())
    return ran, tools


def test_agents_within_are_gated() -> None:
    told = {"subagent_type": "writer", "description": "write", "prompt": "write to eve"}
    inner: Script = [
        [("send_mail", {"to": "eve@evil.org", "body": "x"})],
        [("send_mail", {"to": "bob@acme.com", "body": "x"})],
        "wrote",
    ]
    writer = AgentDefinition(description="Writes mails.", prompt="Write.", tools=[f"{PREFIX}send_mail"])
    allowed = ["Agent", f"{PREFIX}send_mail"]
    ran, tools = play(
        [[("Agent", told)], "done"], inner, agents={"writer": writer}, tools=["Agent"], allowed_tools=allowed
    )
    assert tools.ran == [("send_mail", "bob@acme.com", "x")]
    assert "`send_mail` may not run" in ran.seen


def test_tools_of_the_program_are_gated_whatever_its_permissions(tmp_path: Path) -> None:
    left = tmp_path / "left"
    script: Script = [
        [("Bash", {"command": f"touch {left}", "description": "touch"})],
        [("Bash", {"command": "echo seen", "description": "echo"})],
        "done",
    ]
    ran, _ = play(script, tools=["Bash"], allowed_tools=["Bash"])
    assert not left.exists()
    assert "only echo is needed" in ran.seen
    assert '"content": "seen"' in ran.seen


def test_a_hook_that_fails_denies(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: Any) -> Any:
        raise RuntimeError("a bug")

    monkeypatch.setattr(claude_agent._Hooks, "before", broken)
    _, tools = play([[("read_page", {"url": "acme.com"})], "done"])
    assert tools.ran == []


def test_what_could_change_a_decided_call_is_refused() -> None:
    async def hook(*_: Any) -> Any:
        return {}

    async def allows(*_: Any) -> Any:
        return None

    session = Engine.from_text(POLICIES).session(principal=ANN, prompt="")
    for given in (
        {"hooks": {"PreToolUse": [HookMatcher(hooks=[hook])]}},
        {"hooks": {"PostToolUse": [HookMatcher(hooks=[hook])]}},
        {"can_use_tool": allows},
        {"setting_sources": ["user"]},
        {"plugins": [{"type": "local", "path": "x"}]},
        {"settings": '{"hooks": {"PreToolUse": []}}'},
        {"extra_args": {"settings": "hooks.json"}},
        {"extra_args": {"plugin-dir": "x"}},
    ):
        with pytest.raises(ValueError, match="could change a call"):
            protect(ClaudeAgentOptions(**given), session)  # type: ignore[arg-type]
    kept = protect(ClaudeAgentOptions(hooks={"Stop": [HookMatcher(hooks=[hook])]}), session)
    assert kept.hooks is not None
    assert kept.setting_sources == []
    assert {one.on_failure for event in kept.hooks if event != "Stop" for one in kept.hooks[event]} == {"block"}


def test_an_approval_is_for_the_same_call_made_again() -> None:
    """Nothing waits in the program: the model is told, and the approval is in the store."""
    engine = Engine.from_text(APPROVED)

    def script() -> Any:
        yield [("slow", {"name": "x"})]
        assert approve_all(engine) == ["{'name': 'x'}"]
        yield [("slow", {"name": "y"})]
        yield [("slow", {"name": "x"})]
        yield "done"

    ran, tools = play(script(), engine=engine)
    assert tools.ran == [("slow", "x")]
    assert "`slow` has to be approved by Group finance first" in ran.seen
    assert approve_all(engine) == ["{'name': 'y'}"]
