"""Google's Agent Development Kit: a plugin that gates every tool of a runner, in all its agents.

    runner = Runner(app_name="shop", agent=agent, plugins=[PolicyPlugin(engine, principal=ann)], ...)

A plugin sees sub-agents, which the callbacks of an agent do not. But the callbacks of an agent run after those of a
plugin and may change what it has checked. So the tools themselves are wrapped before each call of a model, and a tool
that is not wrapped is denied. A tool that a confirmation resumes has been wrapped by then. What the plugin would not
see is refused at the start: live runs, code that a model writes, and agents and tools that run elsewhere. Put it first
in `plugins`.

One session of the kit is one session of the gate. An agent within a tool joins the session of that tool: its
instructions are the words of a model.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from hashlib import sha256
from typing import Any

from cachetools import TTLCache
from google.adk.models.llm_response import LlmResponse
from google.adk.plugins.base_plugin import BasePlugin
from google.adk.tools.agent_tool import AgentTool
from google.genai import types

from policyengine.call_approvals import Repeated, shown
from policyengine.engine import Engine
from policyengine.gate.call import ToolCall
from policyengine.gate.conversation import stated
from policyengine.gate.models import ModelCall, ModelTerms
from policyengine.gate.results import given_back, looked_at
from policyengine.gate.run_call import ApproveAsync, run_async, within
from policyengine.gate.session import Session

# So many sessions are remembered at a time, each for so many seconds after its begin.
SESSIONS, LIFE = 10_000, 86_400.0
_ELSEWHERE = frozenset({"ManagedAgent", "RemoteA2aAgent"})
_UNGATED = "this tool is not gated, and does not run"
_REJECTED = "this call was rejected"

Known = Mapping[str, Any]


class PolicyPlugin(BasePlugin):
    """principal, agent: who uses the agent, and the agent that acts for them; each also a function of the context of an
        invocation.
    model: attributes of the model, beside its `id`; None where models are not decided about.
    cost: what a call of the model is estimated to cost, such as `{"tokens": 4000}`; that is reserved.
    output: the attributes of what the model says; None where it is not released. With it, nothing is streamed.
    entities: what the host knows at the start.
    approvals: whether a call that needs an approval asks for the kit's confirmation, with the request for approval as
        its payload. It runs when the run goes on, once somebody has approved it in the store."""

    def __init__(
        self,
        engine: Engine,
        *,
        principal: Known | Callable[[Any], Known],
        agent: Known | Callable[[Any], Known] | None = None,
        model: Known | None = None,
        cost: Known | None = None,
        output: Known | None = None,
        entities: Iterable[Any] = (),
        approvals: bool = False,
        name: str = "policyengine",
    ) -> None:
        super().__init__(name)
        self._engine = engine
        self._principal = principal
        self._agent = agent
        self._model = model
        self._terms = ModelTerms(None, cost, output)
        self._entities = tuple(entities)
        self._asks = Repeated(engine) if approvals else None
        self._sessions: TTLCache[str, Session] = TTLCache(SESSIONS, LIFE)
        # Calls of models under way: by invocation, then by branch and agent, one after the other.
        self._asked: dict[str, dict[str, ModelCall]] = {}

    # ---- a run begins, and ends ----

    async def on_user_message_callback(self, *, invocation_context: Any, user_message: types.Content) -> Any:
        """The user's words. What tools return that ran elsewhere comes in the user's place, and is observed."""
        session = await self._session(invocation_context)
        parts = list(user_message.parts or ())
        for at, part in enumerate(parts):
            if part.text and within() is None:
                session.say(part.text)
            if part.function_response is not None:
                parts[at] = await _came(session, part)
        return None if parts == list(user_message.parts or ()) else types.Content(role=user_message.role, parts=parts)

    async def before_run_callback(self, *, invocation_context: Any) -> None:
        """Raises ValueError for a run that could not be gated."""
        plugins = invocation_context.plugin_manager.plugins
        if plugins[0] is not self:
            raise ValueError("PolicyPlugin: it has to be the first plugin, or another one could answer in its place")
        if invocation_context.live_request_queue is not None:
            raise ValueError("PolicyPlugin: a live run asks its model past every plugin")

    async def before_agent_callback(self, *, agent: Any, callback_context: Any) -> None:
        """Raises ValueError for an agent that could not be gated."""
        kinds = {base.__name__ for base in type(agent).__mro__}
        if kinds & _ELSEWHERE:
            raise ValueError(f"PolicyPlugin: `{agent.name}` runs elsewhere and cannot be gated")
        if getattr(agent, "code_executor", None) is not None:
            raise ValueError(f"PolicyPlugin: `{agent.name}` runs code that its model writes, which is not a tool")

    async def after_run_callback(self, *, invocation_context: Any) -> None:
        await self._over(invocation_context)

    async def on_run_error_callback(self, *, invocation_context: Any, error: Exception) -> None:
        await self._over(invocation_context)

    async def _over(self, context: Any) -> None:
        for asked in self._asked.pop(context.invocation_id, {}).values():
            await asked.ended_async()

    async def _session(self, context: Any) -> Session:
        """Of an invocation, or of the tool within which it runs, where that is for the same user."""
        principal = self._principal(context) if callable(self._principal) else self._principal
        outer = within()
        if outer is not None and dict(outer.principal) == dict(principal):
            return outer
        agent = self._agent(context) if callable(self._agent) else self._agent
        whose = [principal.get(name) for name in ("type", "id", "tenant")] + [agent and agent.get("id")]
        kit = context.session
        key = json.dumps([*whose, kit.app_name, kit.user_id, kit.id], default=str)
        name = sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
        if name not in self._sessions:
            session = await self._engine.session_async(
                principal=principal, agent=agent, entities=self._entities, name=f"adk:{name}"
            )
            self._sessions.setdefault(name, session)
        known_session: Session = self._sessions[name]
        return known_session

    # ---- the model ----

    async def before_model_callback(self, *, callback_context: Any, llm_request: Any) -> LlmResponse | None:
        context = callback_context._invocation_context
        session = await self._session(context)
        await self._tools(session, llm_request)
        if self._model is None:
            return None
        terms = ModelTerms({**self._model, "id": str(llm_request.model)}, self._terms.cost)
        under_way = self._asked.setdefault(context.invocation_id, {})
        key = _key(context)
        if (before := under_way.pop(key, None)) is not None:
            # The one before never came back.
            await before.ended_async()
        asked = await terms.admit_async(session, _for_admission(llm_request))
        if not asked.allowed:
            return LlmResponse(content=types.Content(role="model", parts=[types.Part(text=asked.reason)]))
        _put(llm_request, asked.messages)
        under_way[key] = asked
        return None

    async def after_model_callback(self, *, callback_context: Any, llm_response: LlmResponse) -> LlmResponse | None:
        context = callback_context._invocation_context
        if not llm_response.partial:
            asked = self._asked.get(context.invocation_id, {}).pop(_key(context), None)
            if asked is not None:
                usage = llm_response.usage_metadata
                await asked.settle_async((usage.total_token_count or None) if usage is not None else None)
        if self._terms.output is None or llm_response.content is None:
            return None
        parts = list(llm_response.content.parts or ())
        for thinks in (True, False):
            those = [at for at, part in enumerate(parts) if part.text and bool(part.thought) is thinks]
            # A part of a text cannot be released: the whole comes.
            texts = [""] * len(those)
            if not llm_response.partial:
                session = await self._session(context)
                texts = await self._terms.release_all_async(session, [parts[at].text for at in those])
            for at, text in zip(those, texts, strict=True):
                parts[at] = parts[at].model_copy(update={"text": text})
        content = llm_response.content.model_copy(update={"parts": parts})
        return llm_response.model_copy(update={"content": content})

    async def on_model_error_callback(self, *, callback_context: Any, llm_request: Any, error: Exception) -> None:
        context = callback_context._invocation_context
        asked = self._asked.get(context.invocation_id, {}).pop(_key(context), None)
        if asked is not None:
            await asked.ended_async()

    # ---- tools ----

    async def before_tool_callback(self, *, tool: Any, tool_args: Any, tool_context: Any) -> dict[str, Any] | None:
        """The gate is in the tool, where its arguments are final. One that was not wrapped does not run. A call that a
        confirmation resumes comes with the tool of the agent itself, which is gated from then on."""
        if hasattr(tool, "policyengine_gated"):
            return None
        if tool_context.tool_confirmation is None or (isinstance(tool, AgentTool) and not tool.include_plugins):
            return {"error": _UNGATED}
        _gate(tool, str(tool.name))
        return None

    async def _tools(self, session: Session, llm_request: Any) -> None:
        """The tools of a call of a model: those that could be called, each of them gated. Raises ValueError for one
        that runs elsewhere."""
        for tool in llm_request.config.tools or ():
            members = tool.model_dump(exclude_none=True) if isinstance(tool, types.Tool) else {"": tool}
            if set(members) - {"function_declarations"}:
                raise ValueError("PolicyPlugin: a tool that is not a function runs where it cannot be gated")
        tools = llm_request.tools_dict
        shown_ = set(await session.tools_async(list(tools)))
        for name, tool in list(tools.items()):
            if name not in shown_ or (isinstance(tool, AgentTool) and not tool.include_plugins):
                del tools[name]
            elif not hasattr(tool, "policyengine_gated"):
                tools[name] = _gate(copy(tool), name)
        for tool in llm_request.config.tools or ():
            tool.function_declarations = [
                declaration for declaration in tool.function_declarations or () if declaration.name in tools
            ]
        llm_request.config.tools = [tool for tool in llm_request.config.tools or () if tool.function_declarations]

    async def run_tool(self, name: str, behind: Callable[..., Any], args: dict[str, Any], tool_context: Any) -> Any:
        """A call of a tool, on its final arguments."""
        session = await self._session(tool_context._invocation_context)
        confirmed = tool_context.tool_confirmation
        if confirmed is not None and not confirmed.confirmed:
            return {"error": _REJECTED}

        async def perform(final: dict[str, Any]) -> Any:
            return await behind(args=final, tool_context=tool_context)

        approve = _by_confirmation(self._asks, tool_context) if self._asks is not None else None
        ran = await run_async(session, name, args, perform, approve=approve)
        return ran.value if ran.allowed else {"error": str(ran.value)}


async def _came(session: Session, part: types.Part) -> types.Part:
    """What a tool returned that ran elsewhere, with what may be had of it."""
    response = part.function_response
    assert response is not None
    value = looked_at(response.response)
    seen = await session.observe_async(stated(str(response.name), {}), value)
    back = given_back(response.response, value, seen)
    if back == response.response:
        return part
    changed = response.model_copy(update={"response": back if isinstance(back, dict) else {"error": back}})
    return part.model_copy(update={"function_response": changed})


def _gate(tool: Any, name: str) -> Any:
    """The tool itself, gated by the plugin of whichever runner calls it."""
    behind = tool.run_async

    async def gated_run(*, args: dict[str, Any], tool_context: Any) -> Any:
        plugins = tool_context._invocation_context.plugin_manager.plugins
        plugin = next((plugin for plugin in plugins if isinstance(plugin, PolicyPlugin)), None)
        if plugin is None:
            return await behind(args=args, tool_context=tool_context)
        return await plugin.run_tool(name, behind, args, tool_context)

    tool.run_async = gated_run
    tool.policyengine_gated = True
    return tool


def _by_confirmation(asks: Repeated, tool_context: Any) -> ApproveAsync:
    """How a call is approved: the kit asks its user to confirm, once, and the store knows what was decided."""

    async def approve(session: Session, call: ToolCall) -> str | None:
        task = await asks.task_async(session, call)
        if task.status == "pending" and tool_context.tool_confirmation is None:
            tool_context.request_confirmation(hint=call.reason, payload=shown(task, call))
            # The model is not asked to go on before somebody has decided.
            tool_context.actions.skip_summarization = True
        return task.approval

    return approve


def _key(context: Any) -> str:
    return f"{context.branch}:{context.agent.name}"


def _for_admission(llm_request: Any) -> list[dict[str, Any]]:
    """What a model is given, part by part, each with whose words it is."""
    contents: list[dict[str, Any]] = []
    if isinstance(llm_request.config.system_instruction, str):
        contents.append({"role": "system", "content": llm_request.config.system_instruction})
    for content in llm_request.contents:
        role = "user" if content.role == "user" else "assistant"
        for part in content.parts or ():
            if part.function_response is not None:
                contents.append({"role": "tool", "content": looked_at(part.function_response.response)})
            elif part.text is not None:
                contents.append({"role": role, "content": part.text})
            contents += [{"role": role, "content": [file]} for file in _files(part)]
    return contents


def _files(part: types.Part) -> list[dict[str, str]]:
    """What a part holds that is not text, and what it refers to, a result of a tool included."""
    files = []
    for holder in (part, *(getattr(part.function_response, "parts", None) or ())):
        if holder.inline_data is not None:
            files.append({"type": "file", "data": b64encode(holder.inline_data.data or b"").decode("ascii")})
        if holder.file_data is not None:
            files.append({"type": "file", "file_uri": str(holder.file_data.file_uri)})
    return files


def _put(llm_request: Any, admitted: Any) -> None:
    """What was admitted in the place of what was told. Raises PermissionError where a file would have to be changed."""
    coming = iter(admitted)
    if isinstance(llm_request.config.system_instruction, str):
        llm_request.config.system_instruction = next(coming)["content"]
    contents = []
    for content in llm_request.contents:
        parts = []
        for part in content.parts or ():
            if part.function_response is not None:
                response = part.function_response.model_copy(update={"response": next(coming)["content"]})
                parts.append(part.model_copy(update={"function_response": response}))
            else:
                parts.append(part if part.text is None else part.model_copy(update={"text": next(coming)["content"]}))
            if any(next(coming)["content"] != [file] for file in _files(part)):
                raise PermissionError("a file that goes to the model would have to be changed")
        contents.append(content.model_copy(update={"parts": parts}))
    llm_request.contents = contents
