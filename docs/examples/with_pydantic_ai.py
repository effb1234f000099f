"""An agent of Pydantic AI behind the gate: `pip install '.[pydantic-ai]'`, and `python
docs/examples/with_pydantic_ai.py`."""

from __future__ import annotations

from typing import Any

from bank import ANN, ENGINE, PAID, PROMPT, read_web, send_money
from pydantic_ai import Agent

from policyengine.integrations.pydantic_ai import PolicyCapability


def run(model: Any) -> str:
    """What a model says at the end; each run brings the session of its user."""
    gate = PolicyCapability(lambda run: run.deps, output={"tenant": "acme"})
    agent: Any = Agent(model, deps_type=object, tools=[read_web, send_money], capabilities=[gate])
    return str(agent.run_sync(PROMPT, deps=ENGINE.session(principal=ANN, prompt=PROMPT)).output)


if __name__ == "__main__":
    print(run("openai:gpt-5"), "- paid:", PAID)
