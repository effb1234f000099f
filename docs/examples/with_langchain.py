"""A LangChain agent behind the gate: `pip install '.[langchain]'`, and `python docs/examples/with_langchain.py`."""

from __future__ import annotations

from typing import Any

from bank import ANN, ENGINE, PAID, PROMPT, read_web, send_money
from langchain.agents import create_agent

from policyengine.integrations.langchain_agent import PolicyMiddleware


def run(model: Any) -> str:
    """What a model says at the end; the gate is the last middleware."""
    gate = PolicyMiddleware(ENGINE, principal=ANN, output={"tenant": "acme"})
    agent = create_agent(model, tools=[read_web, send_money], middleware=[gate])
    return str(agent.invoke({"messages": [("user", PROMPT)]})["messages"][-1].text)


if __name__ == "__main__":
    print(run("openai:gpt-5"), "- paid:", PAID)
