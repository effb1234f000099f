"""LlamaIndex agents: the same tools, each gated by a session.

    agent = FunctionAgent(tools=protect(tools, session), llm=llm)

LlamaIndex has no hook between an agent and its tools, so the tools themselves are wrapped. They are then gated whoever
calls them, including every agent of an `AgentWorkflow`. `protect_agents` also gates the input and the output of the
models. An unprotected agent or workflow that a tool runs is gated by the session of that tool, or refused there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from functools import wraps
from typing import Any, TypeVar, cast

from llama_index.core.agent.workflow import AgentWorkflow, BaseWorkflowAgent, CodeActAgent
from llama_index.core.tools import AsyncBaseTool, BaseTool, FunctionTool, ToolOutput, adapt_to_async_tool
from llama_index.core.workflow import Context, HumanResponseEvent, InputRequiredEvent

from policyengine.call_approvals import Repeated, shown
from policyengine.engine import Engine
from policyengine.gate.call import ToolCall
from policyengine.gate.models import ModelTerms
from policyengine.gate.run_call import ApproveAsync, run, run_async
from policyengine.gate.session import Session
from policyengine.integrations.gated_tools import BY, MARK, GatedTools, held, is_protected
from policyengine.integrations.llamaindex_models import gated
from policyengine.integrations.nested_agents import GATE, watched


def protect(
    tools: Sequence[BaseTool | Callable[..., Any]], session: Session, *, engine: Engine | None = None
) -> list[BaseTool]:
    """The tools that the session could call, each of them gated. With `engine`, a call that needs an approval stops the
    workflow (`InputRequiredEvent`) until a `HumanResponseEvent` with its `task` comes; it runs if somebody has approved
    it in the store by then, whatever that event says. Raises ValueError for a tool that a workflow gives more arguments
    than a model does: those come only to the tool itself; and for one that another session gates already."""
    gate = _gate(session, ModelTerms(), engine)
    return _callable([gate(tool) for tool in tools], session)


def _gate(session: Session, terms: ModelTerms, engine: Engine | None) -> Callable[[Any], BaseTool]:
    asks = Repeated(engine) if engine is not None else None

    def gate(tool: Any) -> BaseTool:
        return tool if is_protected(tool, session) else _protected(_made(tool), session, terms, asks)

    return gate


def _made(tool: Any) -> BaseTool:
    return tool if isinstance(tool, BaseTool) else FunctionTool.from_defaults(tool)


def _callable(tools: Sequence[BaseTool], session: Session) -> list[BaseTool]:
    names = {str(tool.metadata.name) for tool in tools}
    kept = set(session.tools(sorted(names)))
    return [tool for tool in tools if tool.metadata.name in kept]


A = TypeVar("A", bound=BaseWorkflowAgent)


def protect_agents(
    agents: Sequence[A],
    session: Session,
    *,
    model: Mapping[str, Any] | None = None,
    cost: Mapping[str, Any] | None = None,
    output: Mapping[str, Any] | None = None,
    engine: Engine | None = None,
) -> list[A]:
    """The same agents, each with gated tools as `protect` makes them, such as those of an `AgentWorkflow` that hand
    over to each other; `model`, `cost` and `output` are as in `policyengine.gate.models`. Raises ValueError for an
    agent that has other ways to act, or to say something, and for one that is protected with something else already;
    one that is protected with the same is left as it is."""
    terms = ModelTerms(model, cost, output)
    by = (session, terms, engine)
    return [
        agent
        if is_protected(agent, *by)
        else held(agent, _rules(agent, session, terms, engine), **{GATE: session, BY: by})
        for agent in agents
    ]


def _gated_agent(agent: BaseWorkflowAgent, session: Session) -> BaseWorkflowAgent:
    return protect_agents([copy(agent)], session)[0]


def _gated_workflow(workflow: AgentWorkflow, session: Session) -> AgentWorkflow:
    made = copy(workflow)
    made.agents = {
        name: agent if getattr(agent, GATE, None) is not None else _gated_agent(agent, session)
        for name, agent in workflow.agents.items()
    }
    setattr(made, GATE, session)
    return made


def _whole(workflow: AgentWorkflow) -> None:
    """Raises ValueError where some agents of a workflow are protected and others are not."""
    agents = workflow.agents.values()
    left = [agent.name for agent in agents if getattr(agent, GATE, None) is None and not _has_gated_tools(agent)]
    if left and len(left) < len(agents):
        raise ValueError(f"protect: `{left[0]}` is handed over to by agents that are protected, and is not itself")


def _has_gated_tools(agent: BaseWorkflowAgent) -> bool:
    """Whether all that an agent can do goes through tools that `protect` made."""
    if isinstance(agent, CodeActAgent) or agent.tool_retriever is not None or not agent.tools:
        return False
    return all(hasattr(tool, MARK) for tool in agent.tools)


def _watch_workflows() -> None:
    """From now on an agent that comes into a workflow of protected ones is protected, or the workflow does not run."""
    runs = AgentWorkflow.run

    @wraps(runs)
    def run(workflow: AgentWorkflow, *given: Any, **named: Any) -> Any:
        _whole(workflow)
        return runs(workflow, *given, **named)

    cast(Any, AgentWorkflow).run = run


_watch_workflows()
watched(BaseWorkflowAgent, "run", _gated_agent)
watched(AgentWorkflow, "run", _gated_workflow)


def _rules(
    agent: BaseWorkflowAgent, session: Session, terms: ModelTerms, engine: Engine | None
) -> dict[str, Callable[[Any], Any]]:
    """What becomes of what an agent has, and is given later. Raises ValueError."""
    if isinstance(agent, CodeActAgent):
        raise ValueError(f"protect: `{agent.name}` runs code that calls tools, and nothing can stand between them")

    def without(why: str) -> Callable[[Any], Any]:
        def check(value: Any) -> Any:
            if value is not None:
                raise ValueError(f"protect: `{agent.name}` {why}")
            return value

        return check

    def llm(given: Any) -> Any:
        if getattr(given, "built_in_tools", None) or getattr(given, "built_in_tool", None):
            raise ValueError(f"protect: the model of `{agent.name}` has tools that run elsewhere and cannot be gated")
        return gated(given, session, terms)

    gate = _gate(session, terms, engine)

    def shown(tools: list[Any]) -> list[Any]:
        return list(_callable(tools, session))

    rules: dict[str, Callable[[Any], Any]] = {
        "tool_retriever": without("finds tools at run time, which cannot be wrapped"),
        "tools": lambda tools: GatedTools.assigned(tools, gate, shown),
        "llm": llm,
    }
    if terms.output is not None:
        for name in ("output_cls", "structured_output_fn"):
            rules[name] = without("returns text in a structured form that would not be released")
    return rules


def _protected(tool: BaseTool, session: Session, terms: ModelTerms, asks: Repeated | None) -> BaseTool:
    name = str(tool.metadata.name)
    if isinstance(tool, FunctionTool) and (tool.requires_context or tool.partial_params):
        raise ValueError(f"protect: `{name}` is given arguments that no model gives, and they cannot be decided about")
    behind: AsyncBaseTool = adapt_to_async_tool(tool)
    approve = asks.approval if asks is not None else None
    # What it returns is the answer, without a model in between.
    output_terms = terms if tool.metadata.return_direct else ModelTerms()

    def call(**arguments: Any) -> Any:
        ran = run(session, name, arguments, lambda final: _content(behind.call(**final)), approve=approve)
        return output_terms.release(session, str(ran.value))

    async def perform(final: dict[str, Any]) -> Any:
        return _content(await behind.acall(**final))

    async def ran_async(arguments: dict[str, Any], approve: ApproveAsync | None) -> Any:
        ran = await run_async(session, name, arguments, perform, approve=approve)
        return await output_terms.release_async(session, str(ran.value))

    async def call_async(**arguments: Any) -> Any:
        return await ran_async(arguments, None)

    if asks is None:
        return _marked(FunctionTool(call, tool.metadata, async_fn=call_async), session)

    def call_in(*, _workflow: Context, **arguments: Any) -> Any:
        return call(**arguments)

    async def call_in_async(*, _workflow: Context, **arguments: Any) -> Any:
        return await ran_async(arguments, _by_event(asks, _workflow))

    for caller in (call_in, call_in_async):
        # By this the framework knows that the function is to be given the workflow.
        caller.__annotations__["_workflow"] = Context
    return _marked(FunctionTool(call_in, tool.metadata, async_fn=call_in_async), session)


def _marked(tool: BaseTool, session: Session) -> BaseTool:
    setattr(tool, MARK, True)
    setattr(tool, BY, (session,))
    return tool


def _by_event(asks: Repeated, workflow: Context) -> ApproveAsync:
    """How a call in a workflow is approved: its step begins anew with the event that is waited for. One event is one
    look at the store: a step that waited twice would begin twice with the second."""

    async def approve(session: Session, call: ToolCall) -> str | None:
        task = await asks.task_async(session, call)
        if task.status == "pending":
            question = shown(task, call)
            asked = InputRequiredEvent(prefix=call.reason, **question)
            which = {"task": task.id}
            await workflow.wait_for_event(
                HumanResponseEvent, asked, waiter_id=task.id, requirements=which, timeout=None
            )
        return task.approval

    return approve


def _content(output: ToolOutput) -> str:
    """What a model is given of it."""
    return output.content
