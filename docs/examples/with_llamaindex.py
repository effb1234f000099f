"""An agent of LlamaIndex behind the gate: `pip install '.[llamaindex]' llama-index-llms-openai`, and `python
docs/examples/with_llamaindex.py`."""

from __future__ import annotations

import asyncio
from typing import Any

from bank import ANN, ENGINE, PAID, PROMPT, read_web, send_money
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent
from llama_index.core.llms.utils import resolve_llm

from policyengine.integrations.llamaindex_agent import protect_agents


async def run(model: Any) -> str:
    """What a model says at the end."""
    session = await ENGINE.session_async(principal=ANN, prompt=PROMPT)
    payer = FunctionAgent(name="payer", description="Pays.", llm=model, tools=[read_web, send_money])
    workflow = AgentWorkflow(agents=protect_agents([payer], session, output={"tenant": "acme"}), root_agent="payer")
    return str(await workflow.run(PROMPT))


if __name__ == "__main__":
    print(asyncio.run(run(resolve_llm("default"))), "- paid:", PAID)
