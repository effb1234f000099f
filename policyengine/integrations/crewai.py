"""CrewAI: hooks that gate every call of a tool within a `with` block, whichever agent of a crew makes it.

    with gated(session):
        crew.kickoff(inputs={"topic": topic})

Hooks also see what is added while a crew runs: delegation, memory, tools of MCP servers. If a hook raises, CrewAI
continues and runs the tool. So nothing is raised here: an error blocks the call, or takes the place of the result.
Hooks belong to the whole process: once this is in use, a crew outside of any `gated` runs no tools and calls no model.
A hook that comes after the gate could change what was decided, so it blocks the call as well.

Calls that pass no hook are not seen: functions that a flow passes to `LLM.call` itself.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from crewai.hooks import InterceptionPoint, get_hooks, register_hook, unregister_hook
from crewai.hooks.dispatch import get_scoped_hooks

from policyengine.call_approvals import Repeated, shown
from policyengine.engine import Engine
from policyengine.gate.call import ToolCall
from policyengine.gate.models import ModelCall, ModelTerms
from policyengine.gate.results import given_back, looked_at
from policyengine.gate.run_call import Approve, called, ended
from policyengine.gate.session import Session

OUTSIDE = "no tool runs and no model is asked outside of a session"
AFTER_US = "another hook comes after the gate"
FAILED = "this could not be decided"
UNSEEN = "the result could not be checked"
# An answer that calls tools comes to no hook: what it used is settled when the model is asked again, or at the end.
_NOTHING = "nothing was said"


@contextmanager
def gated(
    session: Session,
    *,
    model: Mapping[str, Any] | None = None,
    cost: Mapping[str, Any] | None = None,
    output: Mapping[str, Any] | None = None,
    engine: Engine | None = None,
) -> Iterator[None]:
    """All that crews do in here goes through the gate of a session; `model`, `cost` and `output` are as in
    `policyengine.gate.models`. With `engine`, a call that needs an approval asks for human input; it runs if somebody
    has approved it in the store by then, whatever was said. Raises RuntimeError at the end where somebody removed the
    hooks meanwhile."""
    gate = _CrewGate(session, ModelTerms(model, cost, output), Repeated(engine) if engine is not None else None)
    for point, hook in _HOOKS.items():
        # The last one sees what all others made of it.
        unregister_hook(point, hook)
        register_hook(point, hook)
    running = _GATE.set(gate)
    try:
        yield
    finally:
        _GATE.reset(running)
        gate.over()
    if any(hook not in get_hooks(point) for point, hook in _HOOKS.items()):
        raise RuntimeError("gated: the hooks were removed while the crew was running")


@dataclass
class _CrewGate:
    """A session, and what has begun in it: by the object that both hooks of one call are handed."""

    session: Session
    terms: ModelTerms
    asks: Repeated | None = None
    calls: dict[int, tuple[Any, ToolCall]] = field(default_factory=dict)
    refused: dict[int, tuple[Any, str]] = field(default_factory=dict)
    asked: dict[int, tuple[Any, ModelCall, int]] = field(default_factory=dict)
    # By the list that an agent hands to its model: all that was in it.
    offered: dict[int, tuple[list[Any], list[Any]]] = field(default_factory=dict)

    def over(self) -> None:
        for _, call in self.calls.values():
            ended(call)
        for key in list(self.asked):
            with suppress(Exception):
                self.settle(key)
        self.calls.clear()

    # ---- tools ----

    def before_tool(self, context: Any) -> bool | None:
        given = context.tool_input
        approve = _by_input(self.asks, context) if self.asks is not None else None
        call = called(self.session, context.tool_name, given, approve)
        if not call.allowed:
            self.refused[id(given)] = given, call.reason
            return False
        final = dict(call.arguments or {})
        if final != given:
            given.clear()
            given.update(final)
        self.calls[id(given)] = given, call
        return None

    def after_tool(self, context: Any) -> str:
        key = id(context.tool_input)
        if (refused := self.refused.pop(key, None)) is not None:
            return refused[1]
        _, call = self.calls.pop(key)
        result = str(context.tool_result)
        value = looked_at(result)
        had = str(given_back(result, value, self.session.observe(call, value)))
        if getattr(context.tool, "result_as_answer", False):
            # It is what the user has, without a model in between.
            return self.terms.release(self.session, had) or _NOTHING
        return had

    # ---- models ----

    def before_model(self, context: Any) -> bool | None:
        key = id(context.llm)
        self.settle(key)
        self.show(context.executor)
        asked = self.terms.admit(self.session, [_for_admission(message) for message in context.messages])
        if not asked.allowed:
            return False
        for message, allowed in zip(context.messages, asked.messages, strict=True):
            content = allowed["content"]
            if files := _files(message):
                # A file that would have to be another one blocks the call.
                *content, kept = content
                content = content[0]["text"]
                if kept["files"] != files:
                    return False
            if (message.get("content") or "") != content:
                message["content"] = content
        if self.terms.model is not None:
            self.asked[key] = context.llm, asked, _used(context.llm)
        return None

    def show(self, executor: Any) -> None:
        """The tools that are told to a model: those that could be called by then. They are in a list that an agent
        hands on after the hooks."""
        tools = getattr(executor, "_openai_tools", None)
        if not isinstance(tools, list):
            return
        _, whole = self.offered.setdefault(id(tools), (tools, []))
        whole += [tool for tool in tools if tool not in whole]
        kept = set(self.session.tools([str(tool["function"]["name"]) for tool in whole]))
        tools[:] = [tool for tool in whole if tool["function"]["name"] in kept]

    def after_model(self, context: Any) -> str | None:
        self.settle(id(context.llm))
        if self.terms.output is None or context.response is None:
            return None
        # An empty text would not take its place.
        return self.terms.release(self.session, str(context.response)) or _NOTHING

    def settle(self, key: int) -> None:
        if (pending := self.asked.pop(key, None)) is not None:
            llm, asked, before = pending
            asked.settle((_used(llm) - before) or None)


def _by_input(asks: Repeated, context: Any) -> Approve:
    """How a call is approved: whoever sits there is asked to go on once it is decided."""

    def approve(session: Session, call: ToolCall) -> str | None:
        task = asks.task(session, call)
        if task.status == "pending":
            arguments = json.dumps(shown(task, call)["arguments"], ensure_ascii=False)
            context.request_human_input(
                prompt=f"{call.reason}: {call.tool} {arguments}",
                default_message=f"Press Enter once {task.id} is decided:",
            )
            task = asks.task(session, call)
        return task.approval

    return approve


_GATE: ContextVar[_CrewGate | None] = ContextVar("policyengine_crew", default=None)


def _first(point: InterceptionPoint, context: Any, decide: Callable[[_CrewGate], bool | None]) -> bool | None:
    """False where a call may not be made, whatever the reason."""
    gate = _GATE.get()
    reason = OUTSIDE
    try:
        if gate is not None:
            hooks = [*get_hooks(point), *get_scoped_hooks(point)]
            reason = AFTER_US
            if hooks[-1] is _HOOKS[point]:
                reason = FAILED
                return decide(gate)
    except Exception:  # noqa: BLE001  what is raised here would let the call through
        pass
    if gate is not None and point is InterceptionPoint.PRE_TOOL_CALL:
        gate.refused[id(context.tool_input)] = context.tool_input, reason
    return False


def _before_tool(context: Any) -> bool | None:
    return _first(InterceptionPoint.PRE_TOOL_CALL, context, lambda gate: gate.before_tool(context))


def _before_model(context: Any) -> bool | None:
    return _first(InterceptionPoint.PRE_MODEL_CALL, context, lambda gate: gate.before_model(context))


def _after_tool(context: Any) -> str | None:
    gate = _GATE.get()
    if gate is None:
        return OUTSIDE
    try:
        return gate.after_tool(context)
    except Exception:  # noqa: BLE001  what is raised here would let all of it through
        return UNSEEN


def _after_model(context: Any) -> str | None:
    gate = _GATE.get()
    if gate is None:
        return OUTSIDE
    try:
        return gate.after_model(context)
    except Exception:  # noqa: BLE001  what is raised here would let all of it through
        return UNSEEN


_HOOKS: dict[InterceptionPoint, Callable[[Any], Any]] = {
    InterceptionPoint.PRE_TOOL_CALL: _before_tool,
    InterceptionPoint.POST_TOOL_CALL: _after_tool,
    InterceptionPoint.PRE_MODEL_CALL: _before_model,
    InterceptionPoint.POST_MODEL_CALL: _after_model,
}


def _for_admission(message: Any) -> dict[str, Any]:
    content, files = message.get("content") or "", _files(message)
    if files:
        content = [{"type": "text", "text": content}, {"type": "files", "files": files}]
    return {"role": message.get("role"), "content": content}


def _files(message: Any) -> list[dict[str, str]]:
    """The files that go with a message, as admission opens them; of one that is elsewhere, where that is."""
    files = []
    for name, file in (message.get("files") or {}).items():
        source = getattr(file, "source", file)
        if (url := getattr(source, "url", None)) is not None:
            files.append({"filename": str(name), "file_uri": str(url)})
        else:
            files.append({"filename": str(name), "data": b64encode(source.read()).decode("ascii")})
    return files


def _used(llm: Any) -> int:
    """The tokens that a model used so far."""
    summary = getattr(llm, "get_token_usage_summary", None)
    return int(summary().total_tokens) if callable(summary) else 0
