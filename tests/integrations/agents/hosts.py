"""The hosts of the scenarios, and what their frameworks have no seam for; the table in docs/agents.md says the same."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from tests.integrations.agents.world import Host

LACKS: dict[str, tuple[str, ...]] = {
    "autogen": ("rewrite",),
    "claude_agent": ("rewrite", "cut", "inner", "output", "budget", "twice"),
    "crewai": ("cut",),
    "google_adk": ("twice",),
    "langchain": ("twice",),
    "langgraph": ("shown", "output", "budget"),
    "litellm": ("rewrite", "cut", "inner", "twice"),
    "llamaindex": ("rewrite",),
    "openai_agents": ("rewrite",),
    "smolagents": ("rewrite", "cut"),
}
# Each in an environment of its own.
APART = frozenset({"autogen", "crewai", "google_adk", "litellm"})


def host(name: str) -> Host:
    place = f"frameworks.{name}.host" if name in APART else f"agents.host_{name}"
    found: Any = import_module(f"tests.integrations.{place}")
    return found  # type: ignore[no-any-return]


def able(names: list[str], seam: str) -> list[str]:
    """Those whose framework has this seam."""
    return [name for name in names if seam not in LACKS.get(name, ())]
