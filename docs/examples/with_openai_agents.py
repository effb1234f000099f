"""An agent of the OpenAI Agents SDK behind the gate: `pip install '.[openai-agents]'`, and `python
docs/examples/with_openai_agents.py`."""

from __future__ import annotations

from typing import Any

from agents import Agent, RunConfig, Runner, function_tool
from bank import ANN, ENGINE, PAID, PROMPT, read_web, send_money

from policyengine.integrations.openai_agents import protect

# A tool that is not shown is answered, and does not end the run.
QUIET = RunConfig(tool_not_found_behavior="return_error_to_model", tracing_disabled=True)


def run(model: Any) -> str:
    """What a model says at the end."""
    agent = Agent[Any]("payer", model=model, tools=[function_tool(read_web), function_tool(send_money)])
    session = ENGINE.session(principal=ANN, prompt=PROMPT)
    gated = protect(agent, session, output={"tenant": "acme"})
    return str(Runner.run_sync(gated, PROMPT, run_config=QUIET).final_output)


if __name__ == "__main__":
    print(run("gpt-5"), "- paid:", PAID)
