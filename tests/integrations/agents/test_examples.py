"""Each example does what its user asked for and not what a page said; those of other frameworks: `../frameworks`."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integrations.agents import (
    host_agent_framework,
    host_claude_agent,
    host_langchain,
    host_llamaindex,
    host_openai_agents,
    host_pydantic_ai,
    host_smolagents,
)
from tests.integrations.agents.examples import SCRIPT, example, held, names
from tests.integrations.agents.hosts import APART
from tests.integrations.agents.model_api import answering
from tests.integrations.agents.world import Ran
from tests.support.paths import ROOT


def claude(of: Any, home: Path) -> Any:
    with answering(SCRIPT, Ran(), of.PREFIX) as url:
        own = host_claude_agent.alone(url, str(home))
        return asyncio.run(of.run(env=own, cwd=str(home)))


RUNS: dict[str, Callable[[Any, Path], Any]] = {
    "agent_framework": lambda of, _: asyncio.run(of.run(host_agent_framework.Scripted(SCRIPT, Ran(), "o"))),
    "claude_agent": claude,
    "langchain": lambda of, _: of.run(host_langchain.says(SCRIPT, Ran())),
    "langgraph": lambda of, _: of.run(host_langchain.says(SCRIPT, Ran())),
    "llamaindex": lambda of, _: asyncio.run(of.run(host_llamaindex.says(SCRIPT, Ran()))),
    "openai_agents": lambda of, _: of.run(host_openai_agents.says(SCRIPT, Ran(), "o")),
    "pydantic_ai": lambda of, _: of.run(host_pydantic_ai.says(SCRIPT, Ran())),
    "smolagents": lambda of, _: of.run(host_smolagents.Says(SCRIPT, Ran())),
}


@pytest.mark.parametrize("name", RUNS)
def test_the_task_is_done_and_nothing_else(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of = example(name, monkeypatch)
    assert held(of, RUNS[name](of, tmp_path))


def test_every_example_is_tried_and_named() -> None:
    assert set(names()) == RUNS.keys() | APART
    page = (ROOT / "docs" / "agents.md").read_text(encoding="utf-8")
    assert [name for name in names() if f"examples/with_{name}.py" not in page] == []


def test_every_test_that_the_table_of_seams_names_is_there() -> None:
    place = ROOT / "tests" / "integrations"
    named = set(re.findall(r"`(test_\w+)`", (place / "README.md").read_text(encoding="utf-8")))
    there = {name for one in place.rglob("test_*.py") for name in re.findall(r"def (test_\w+)", one.read_text("utf-8"))}
    assert named - there == set()
