"""An agent of smolagents behind the gate: `pip install '.[smolagents]' openai`, and `python
docs/examples/with_smolagents.py`."""

from __future__ import annotations

from typing import Any

from bank import ANN, ENGINE, PAID, PROMPT, read_web, send_money
from smolagents import LogLevel, OpenAIModel, ToolCallingAgent, tool

from policyengine.integrations.smolagents import protect


def run(model: Any) -> str:
    """What a model says at the end."""
    agent = ToolCallingAgent(tools=[tool(read_web), tool(send_money)], model=model, verbosity_level=LogLevel.OFF)
    session = ENGINE.session(principal=ANN, prompt=PROMPT)
    return str(protect(agent, session, output={"tenant": "acme"}).run(PROMPT))


if __name__ == "__main__":
    print(run(OpenAIModel("gpt-5")), "- paid:", PAID)
