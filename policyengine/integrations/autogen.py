"""AutoGen (AgentChat): the same agents, with workbenches, handoffs and a model that a session gates.

    agent = protect(AssistantAgent("payer", model_client=client, tools=tools), session)

A workbench stands between an agent and all its tools, including the tools of MCP servers and tools that are added while
it runs, so it is wrapped. So are the handoffs, which an agent calls directly. Teams, agents that serve as tools, and
agents that hold others are gated with everything in them. Agents that run code, or run their tools themselves, are
refused.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from copy import copy
from typing import Any, TypeVar

from autogen_agentchat.agents import AssistantAgent, MessageFilterAgent, SocietyOfMindAgent, UserProxyAgent
from autogen_agentchat.base import Response
from autogen_agentchat.messages import HandoffMessage, TextMessage, ToolCallSummaryMessage
from autogen_agentchat.teams import BaseGroupChat
from autogen_agentchat.tools import AgentTool, TeamTool
from autogen_core import Image
from autogen_core.models import ChatCompletionClient, CreateResult, RequestUsage
from autogen_core.tools import StaticWorkbench, TextResultContent, ToolResult, Workbench

from policyengine.call_approvals import Repeated
from policyengine.engine import Engine
from policyengine.gate.call import Observed, ToolCall
from policyengine.gate.models import ModelTerms
from policyengine.gate.results import given_back, looked_at
from policyengine.gate.run_call import run_async
from policyengine.gate.session import Session
from policyengine.integrations.gated_tools import BY, check_session, is_protected

A = TypeVar("A")
FAILED = "this could not be decided"
# Whom an agent hands over to where a person has to decide.
USER = "user"
_ROLES = {
    "SystemMessage": "system", "UserMessage": "user", "AssistantMessage": "assistant",
    "FunctionExecutionResultMessage": "tool",
}  # fmt: skip


def protect(
    agent: A,
    session: Session,
    *,
    model: Mapping[str, Any] | None = None,
    cost: Mapping[str, Any] | None = None,
    output: Mapping[str, Any] | None = None,
    engine: Engine | None = None,
) -> A:
    """The agent or team itself, gated from now on; `model`, `cost` and `output` are as in `policyengine.gate.models`.
    With `engine`, an agent one of whose calls needs an approval hands over to the `user`, which a `HandoffTermination`
    ends a run at; the call runs when the model makes it again after somebody has approved it in the store. Raises
    ValueError, with the reason, for one that acts in ways that nothing can stand before, and for one that is protected
    with something else already; one that is protected with the same is left as it is."""
    by = session, ModelTerms(model, cost, output), engine
    is_protected(agent, *by)
    _Protects(*by, Repeated(engine) if engine is not None else None).protect(agent)
    return agent


class _Protects:
    def __init__(self, session: Session, terms: ModelTerms, engine: Engine | None, asks: Repeated | None) -> None:
        self._session = session
        self._terms = terms
        self._engine = engine
        self._asks = asks

    def protect(self, agent: Any) -> None:
        check_session(agent, self._session)
        if isinstance(agent, BaseGroupChat):
            for participant in agent._participants:
                self.protect(participant)
        elif isinstance(agent, SocietyOfMindAgent):
            self.protect(agent._team)
        elif isinstance(agent, MessageFilterAgent):
            self.protect(agent._wrapped_agent)
        elif isinstance(agent, AssistantAgent):
            self._assistant(agent)
        elif not isinstance(agent, UserProxyAgent):
            name = getattr(agent, "name", type(agent).__name__)
            raise ValueError(f"protect: `{name}` acts in ways of its own, and nothing can stand before them")
        # One that chooses the next speaker, or sums up, asks a model as well.
        client = getattr(agent, "_model_client", None)
        if isinstance(client, ChatCompletionClient):
            agent._model_client = self._model(client)
        if not hasattr(agent, BY):
            setattr(agent, BY, (self._session, self._terms, self._engine))

    def _assistant(self, agent: Any) -> None:
        if type(agent)._execute_tool_call is not AssistantAgent._execute_tool_call:
            raise ValueError(f"protect: `{agent.name}` runs its tools itself, and nothing can stand between them")
        known = hasattr(agent, "policyengine_refused")
        waiting: dict[str, str] = agent.policyengine_waiting if known else {}
        agent._workbench = [self._workbench(workbench, waiting) for workbench in agent._workbench]
        if known:
            return
        agent.policyengine_refused, agent.policyengine_waiting = {}, waiting
        agent._handoff_tools = [self._handoff(handoff, agent.policyengine_refused) for handoff in agent._handoff_tools]
        _says(agent, self._session, self._terms, agent.policyengine_refused, waiting)

    def _workbench(self, workbench: Workbench, waiting: dict[str, str]) -> Workbench:
        if isinstance(workbench, GatedWorkbench):
            return workbench
        if isinstance(workbench, StaticWorkbench):
            for tool in workbench._tools:
                if isinstance(tool, AgentTool | TeamTool):
                    # What it says is read by an agent, and released where it leaves.
                    terms = ModelTerms(self._terms.model, self._terms.cost)
                    _Protects(self._session, terms, self._engine, self._asks).protect(tool._task_runner)
        return GatedWorkbench(workbench, self._session, self._asks, waiting)

    def _handoff(self, tool: Any, refused: dict[str, str]) -> Any:
        if hasattr(tool, "policyengine_gated"):
            return tool
        gated, behind = copy(tool), tool.run_json

        async def run_json(arguments: Mapping[str, Any], *rest: Any, **more: Any) -> Any:
            async def perform(final: dict[str, Any]) -> Any:
                return await behind(final, *rest, **more)

            refused.pop(tool.name, None)
            try:
                ran = await run_async(self._session, tool.name, arguments, perform)
            except Exception:  # noqa: BLE001  an agent would wait forever for what is raised here
                refused[tool.name] = FAILED
                return FAILED
            if not ran.allowed:
                refused[tool.name] = str(ran.value)
            return ran.value

        gated.run_json = run_json
        gated.policyengine_gated = True
        return gated

    def _model(self, client: ChatCompletionClient) -> ChatCompletionClient:
        if isinstance(client, GatedModelClient) or (self._terms.model is None and self._terms.output is None):
            return client
        return GatedModelClient(client, self._session, self._terms)


class GatedWorkbench(Workbench):
    """A workbench that shows the tools that could be called, and runs the calls that may run. It streams no partial
    results of a tool, because nobody has checked them."""

    def __init__(
        self,
        workbench: Workbench,
        session: Session,
        asks: Repeated | None = None,
        waiting: dict[str, str] | None = None,
    ) -> None:
        self._behind = workbench
        self._session = session
        self._asks = asks
        # By request for approval: the reason why its call waits.
        self._waiting = waiting if waiting is not None else {}

    async def list_tools(self) -> list[Any]:
        tools = await self._behind.list_tools()
        shown = set(await self._session.tools_async([tool["name"] for tool in tools]))
        return [tool for tool in tools if tool["name"] in shown]

    async def call_tool(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        cancellation_token: Any = None,
        call_id: str | None = None,
    ) -> ToolResult:
        async def perform(final: dict[str, Any]) -> ToolResult:
            return await self._behind.call_tool(name, final, cancellation_token, call_id)

        try:
            approve = self._approve if self._asks is not None else None
            ran = await run_async(
                self._session, name, arguments or {}, perform, looks=_looked, back=_back, approve=approve
            )
        except Exception:  # noqa: BLE001  an agent would wait forever for what is raised here
            return _error(name, FAILED)
        return ran.value if ran.seen is not None else _error(name, ran.call.reason)

    async def _approve(self, session: Session, call: ToolCall) -> str | None:
        assert self._asks is not None
        task = await self._asks.task_async(session, call)
        if task.status == "pending":
            self._waiting[task.id] = call.reason
        return task.approval

    async def start(self) -> None:
        await self._behind.start()

    async def stop(self) -> None:
        await self._behind.stop()

    async def reset(self) -> None:
        await self._behind.reset()

    async def save_state(self) -> Mapping[str, Any]:
        state: Mapping[str, Any] = await self._behind.save_state()
        return state

    async def load_state(self, state: Mapping[str, Any]) -> None:
        await self._behind.load_state(state)


def _error(name: str, text: str) -> ToolResult:
    return ToolResult(name=name, result=[TextResultContent(content=text)], is_error=True)


def _looked(result: ToolResult) -> Any:
    """What a model is given of it."""
    return looked_at(result.to_text())


def _back(result: ToolResult, looked: Any, seen: Observed) -> ToolResult:
    text = result.to_text()
    final = given_back(text, looked, seen)
    if final == text:
        return result
    content = TextResultContent(content=str(final))
    return ToolResult(name=result.name, result=[content], is_error=result.is_error or not seen.allowed)


def _says(agent: Any, session: Session, terms: ModelTerms, refused: dict[str, str], waiting: dict[str, str]) -> None:
    """What an agent says without its model: a summary of what its tools returned is released. And an agent hands over
    whatever came of the call that says so: a handoff that was refused is a text that says why. Where a call waits for
    a person, it is the user who is handed over to."""
    behind = agent.on_messages_stream

    async def on_messages_stream(*given: Any, **named: Any) -> AsyncGenerator[Any, None]:
        refused.clear()
        waiting.clear()
        async with aclosing(behind(*given, **named)) as saying:
            async for event in saying:
                message = event.chat_message if isinstance(event, Response) else None
                if isinstance(message, ToolCallSummaryMessage):
                    content = await terms.release_async(session, message.content)
                    event.chat_message = message.model_copy(update={"content": content})
                elif isinstance(message, HandoffMessage) and refused:
                    event.chat_message = TextMessage(source=message.source, content="\n".join(refused.values()))
                if message is not None and waiting:
                    reasons = "\n".join(f"{why} ({id_})" for id_, why in waiting.items())
                    event.chat_message = HandoffMessage(source=message.source, target=USER, content=reasons)
                yield event

    agent.on_messages_stream = on_messages_stream


class GatedModelClient(ChatCompletionClient):
    """A model whose calls are admitted, settled and released."""

    def __init__(self, client: ChatCompletionClient, session: Session, terms: ModelTerms) -> None:
        self._behind = client
        self._session = session
        self._terms = terms

    async def create(self, messages: Sequence[Any], **more: Any) -> CreateResult:
        asked = await self._terms.admit_async(self._session, _for_admission(messages))
        if not asked.allowed:
            return CreateResult(finish_reason="stop", content=asked.reason, usage=RequestUsage(0, 0), cached=False)
        async with asked:
            answer = await self._behind.create(_with(messages, asked.messages), **more)
        used = answer.usage.prompt_tokens + answer.usage.completion_tokens
        await asked.settle_async(used or None)
        changes = {
            name: await self._terms.release_async(self._session, text)
            for name in ("content", "thought")
            if isinstance(text := getattr(answer, name), str)
        }
        return answer.model_copy(update=changes)

    async def create_stream(self, messages: Sequence[Any], **more: Any) -> AsyncGenerator[str | CreateResult, None]:
        """The answer as a whole once it has come: its text is released then."""
        answer = await self.create(messages, **more)
        if isinstance(answer.content, str):
            yield answer.content
        yield answer

    async def close(self) -> None:
        await self._behind.close()

    def actual_usage(self) -> RequestUsage:
        return self._behind.actual_usage()

    def total_usage(self) -> RequestUsage:
        return self._behind.total_usage()

    def count_tokens(self, messages: Sequence[Any], **more: Any) -> int:
        return int(self._behind.count_tokens(messages, **more))

    def remaining_tokens(self, messages: Sequence[Any], **more: Any) -> int:
        return int(self._behind.remaining_tokens(messages, **more))

    @property
    def capabilities(self) -> Any:
        return self._behind.capabilities

    @property
    def model_info(self) -> Any:
        return self._behind.model_info


def _for_admission(messages: Sequence[Any]) -> list[dict[str, Any]]:
    """What a model is given, each with whose words it is: of those in the user's place, other agents' are theirs."""
    contents = []
    for message in messages:
        role = _ROLES.get(type(message).__name__, "unknown")
        if role == "user" and message.source != "user":
            role = "assistant"
        contents.append({"role": role, "content": _content(message)})
    return contents


def _content(message: Any) -> Any:
    """The texts of a message, with its images if it has any."""
    text, content = "\n".join(_parts(message)), message.content
    images = [] if isinstance(content, str) else [part for part in content if isinstance(part, Image)]
    if not images:
        return text
    return [{"type": "text", "text": text}, *({"type": "image", "data": image.to_base64()} for image in images)]


def _parts(message: Any) -> list[str]:
    content = message.content
    if isinstance(content, str):
        return [content]
    # Results have a `content`, calls have `arguments`; an image is not text.
    texts = (getattr(part, "content", getattr(part, "arguments", part)) for part in content)
    return [text for text in texts if isinstance(text, str)]


def _with(messages: Sequence[Any], admitted: Sequence[Any]) -> list[Any]:
    """Raises PermissionError where parts of a message would have to be changed that are not text of their own."""
    made = []
    for message, allowed in zip(messages, admitted, strict=True):
        parts = _parts(message)
        if allowed["content"] == _content(message):
            made.append(message)
        elif isinstance(message.content, str):
            made.append(message.model_copy(update={"content": allowed["content"]}))
        elif len(parts) == 1 and len(message.content) == 1 and hasattr(message.content[0], "call_id"):
            result = message.content[0].model_copy(update={"content": allowed["content"]})
            made.append(message.model_copy(update={"content": [result]}))
        else:
            raise PermissionError("parts of what goes to the model would have to be changed")
    return made
