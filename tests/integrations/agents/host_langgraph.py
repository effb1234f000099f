"""A graph of LangGraph's that is built by hand, around a `ToolNode`."""

from __future__ import annotations

from typing import Any

from langchain_core.messages import HumanMessage
from langchain_core.tools import StructuredTool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import tools_condition

from policyengine.integrations.langchain_agent import protect
from policyengine.integrations.langgraph import tool_node
from tests.integrations.agents.host_langchain import answered, says
from tests.integrations.agents.world import ANN, Asks, Ran, finished


def graph(model: Any, node: Any) -> Any:
    async def ask(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    made = StateGraph(MessagesState)
    made.add_node("ask", ask)
    made.add_node("tools", node)
    made.add_edge(START, "ask")
    made.add_conditional_edges("ask", tools_condition)
    made.add_edge("tools", "ask")
    return made.compile()


def run(asks: Asks) -> Ran:
    ran = Ran()
    tools: list[Any] = [StructuredTool.from_function(coroutine=one) for one in asks.tools.functions()]

    async def rewrite(request: Any, handler: Any) -> Any:
        return await handler(request.override(tool_call={**request.tool_call, "args": dict(asks.rewrite or {})}))

    async def work() -> Any:
        session = await asks.engine.session_async(principal=ANN, prompt=asks.prompt)
        within = list(tools)
        if asks.inner is not None:
            inner = graph(says(asks.inner, Ran()), tool_node(tools, session))

            async def helper(input: str) -> str:
                """Ask another agent."""
                answer = await inner.ainvoke({"messages": [HumanMessage(input)]})
                return str(answer["messages"][-1].text)

            within.append(StructuredTool.from_function(coroutine=helper))
        if asks.twice:
            within = list(protect(protect(within, session), session))
        node = tool_node(within, session, awrap_tool_call=rewrite if asks.rewrite is not None else None)
        return await answered(graph(says(asks.script, ran), node), asks)

    whole = finished(ran, work, asks)
    if whole is not None:
        ran.final = whole["messages"][-1].text.strip()
    return ran
