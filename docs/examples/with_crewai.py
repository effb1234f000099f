"""A crew of CrewAI behind the gate: `pip install '.[crewai]'`, and `python docs/examples/with_crewai.py`."""

from __future__ import annotations

from typing import Any

from bank import ANN, ENGINE, PAID, PROMPT, read_web, send_money
from crewai import Agent, Crew, Task
from crewai.tools import tool

from policyengine.integrations.crewai import gated


def run(model: Any) -> str:
    """What a model says at the end; all that happens in the block goes through the gate."""
    payer = Agent(role="payer", goal="pay bills", backstory="", llm=model, tools=[tool(read_web), tool(send_money)])
    crew = Crew(agents=[payer], tasks=[Task(description=PROMPT, expected_output="what was paid", agent=payer)])
    with gated(ENGINE.session(principal=ANN, prompt=PROMPT), output={"tenant": "acme"}):
        return str(crew.kickoff())


if __name__ == "__main__":
    print(run("openai/gpt-5"), "- paid:", PAID)
