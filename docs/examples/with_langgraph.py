"""A graph of LangGraph behind the gate: `pip install '.[langchain]'`, and `python docs/examples/with_langgraph.py`."""

from __future__ import annotations

from typing import Any

from bank import ANN, ENGINE, PAID, PROMPT, read_web, send_money
from langchain.chat_models import init_chat_model
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import tools_condition

from policyengine.integrations.langgraph import tool_node

TOOLS = {"read_web": read_web, "send_money": send_money}


def run(model: Any) -> str:
    """What a model says at the end; the node of the tools is gated, and the node of the model is shown some of them."""
    session = ENGINE.session(principal=ANN, prompt=PROMPT)

    def ask(state: MessagesState) -> dict[str, Any]:
        shown = [TOOLS[name] for name in session.tools(TOOLS)]
        answer = model.bind_tools(shown).invoke(state["messages"])
        said = session.release(answer.text, output={"tenant": "acme"}) if answer.text else None
        text = answer.text if said is None else said.text if said.allowed else said.reason
        return {"messages": [answer.model_copy(update={"content": text})]}

    graph = StateGraph(MessagesState)
    graph.add_node("ask", ask)
    graph.add_node("tools", tool_node(list(TOOLS.values()), session))
    graph.add_edge(START, "ask")
    graph.add_conditional_edges("ask", tools_condition)
    graph.add_edge("tools", "ask")
    given: Any = {"messages": [("user", PROMPT)]}
    return str(graph.compile().invoke(given)["messages"][-1].text)


if __name__ == "__main__":
    print(run(init_chat_model("openai:gpt-5")), "- paid:", PAID)
