"""Microsoft's Agent Framework: the same agent, with the hooks of a `PolicyInterceptor` where the framework calls them.

    agent = protect(Agent(client, tools=tools), PolicyInterceptor(engine, principal=ann))

The framework has the hooks built in, but whether it calls them depends on the layers of the chat client: if they are in
the wrong order, it warns and runs the tools. Such an agent is refused before it starts. Middleware of a run comes
behind the hooks and is refused. Middleware that a context provider adds also comes behind them, but cannot be seen. An
unprotected agent that a tool runs has the hooks of the agent to which the tool belongs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from copy import copy
from functools import wraps
from inspect import isfunction
from typing import Any, TypeVar
from warnings import catch_warnings, simplefilter

from agent_framework import (
    Agent,
    AgentMiddlewareLayer,
    BaseAgent,
    ChatContext,
    ChatMiddleware,
    ChatMiddlewareLayer,
    FunctionInvocationContext,
    FunctionInvocationLayer,
    FunctionMiddleware,
    FunctionTool,
    MCPStdioTool,
    MCPStreamableHTTPTool,
    MCPWebsocketTool,
    RawAgent,
    create_agent_hooks_middleware,
)

from policyengine.integrations.agent_hooks import ASKING, PolicyInterceptor

A = TypeVar("A", bound=BaseAgent)
_MARK = "policyengine_hooks"
# The hooks of the agent whose tool runs here.
_RUNNING: ContextVar[tuple[PolicyInterceptor, Mapping[str, Any]] | None] = ContextVar(
    "policyengine_hooks", default=None
)
# What runs in this process, through the hooks.
_HERE = (FunctionTool, MCPStdioTool, MCPStreamableHTTPTool, MCPWebsocketTool)


def protect(agent: A, interceptor: PolicyInterceptor, **hooks: Any) -> A:
    """The agent itself, with the hooks as its last middleware: what another one makes of a call is decided as it runs.
    Its model is shown the tools that could be called.
    `hooks` are options of `create_agent_hooks_middleware`. Raises ValueError, with the reason, for an agent past whose
    hooks tools would run, and for one that has those of another interceptor; one that has those of this one has them
    once."""
    _check(agent)
    before: list[Any] = getattr(agent, _MARK, [])
    if before and before[-1].hooks != (interceptor, hooks):
        raise ValueError("protect: the agent has the hooks of another interceptor already; make a new one for these")
    own: list[Any] = [hook for hook in agent.middleware or () if hook not in before]
    with catch_warnings():
        # It is experimental, as the framework says; whoever calls this has chosen it.
        simplefilter("ignore")
        ours: list[Any] = [create_agent_hooks_middleware([interceptor], **hooks), _Shows(), _Runs(interceptor, hooks)]
    agent.middleware = [*own, *ours]
    setattr(agent, _MARK, ours)
    if not before:
        _keep_last(agent)
    return agent


def _check(agent: Any) -> None:
    """Raises ValueError for an agent past whose hooks tools would run."""
    if not isinstance(agent, AgentMiddlewareLayer):
        raise ValueError("protect: the agent has no layer that calls middleware")
    client = getattr(agent, "client", None)
    order = type(client).__mro__
    if FunctionInvocationLayer not in order or ChatMiddlewareLayer not in order:
        raise ValueError("protect: the client has no layers that call hooks")
    if order.index(FunctionInvocationLayer) > order.index(ChatMiddlewareLayer):
        raise ValueError(
            "protect: `FunctionInvocationLayer` has to come before `ChatMiddlewareLayer` in the client, or tools run "
            "without hooks"
        )
    options: Any = getattr(agent, "default_options", None) or {}
    _functions_only(options.get("tools"))


class _Runs(FunctionMiddleware):
    """Behind the hooks: whose tool runs here."""

    def __init__(self, interceptor: PolicyInterceptor, hooks: Mapping[str, Any]) -> None:
        self.hooks = interceptor, hooks

    async def process(self, context: FunctionInvocationContext, call_next: Callable[[], Awaitable[None]]) -> None:
        running = _RUNNING.set(self.hooks)
        try:
            await call_next()
        finally:
            _RUNNING.reset(running)


def _watched(kind: Any) -> None:
    """From now on an agent of this class that a tool runs has hooks."""
    runs = kind.run

    @wraps(runs)
    def run(agent: Any, *given: Any, **named: Any) -> Any:
        hooks = _RUNNING.get()
        if hooks is None or hasattr(agent, _MARK):
            return runs(agent, *given, **named)
        return protect(copy(agent), hooks[0], **hooks[1]).run(*given, **named)

    kind.run = run


for _kind in (RawAgent, Agent):
    _watched(_kind)


class _Shows(ChatMiddleware):
    """Behind the hooks: what a model is shown of the tools. What it calls all the same, the hooks decide."""

    async def process(self, context: ChatContext, call_next: Callable[[], Awaitable[None]]) -> None:
        options: dict[str, Any] = dict(context.options or {})
        tools, session = options.get("tools"), ASKING.get()
        if session is not None and isinstance(tools, list):
            names = [str(getattr(tool, "name", "")) for tool in tools]
            kept = set(await session.tools_async(names))
            options["tools"] = [tool for tool, name in zip(tools, names, strict=True) if name in kept]
            if not options["tools"]:
                options = {name: option for name, option in options.items() if name not in ("tools", "tool_choice")}
            context.options = options
        await call_next()


def _keep_last(agent: Any) -> None:
    """Middleware of a run comes behind the hooks, and would change what they decided about. What the agent was given
    since it was protected is looked at as it begins to run."""
    behind = agent.run

    def run(*given: Any, **named: Any) -> Any:
        ours = getattr(agent, _MARK)
        if list(agent.middleware or ())[-len(ours) :] != ours:
            raise ValueError("protect: the hooks are not the last middleware of the agent any more; protect it again")
        _check(agent)
        if named.get("middleware"):
            raise ValueError("protect: middleware of a run comes behind the hooks; give it to the agent")
        for tools in (named.get("tools"), (named.get("options") or {}).get("tools")):
            _functions_only(tools)
        return behind(*given, **named)

    agent.run = run


def _functions_only(tools: Any) -> None:
    for tool in tools if isinstance(tools, list | tuple) else [tools] if tools is not None else []:
        if not isinstance(tool, _HERE) and not isfunction(tool):
            raise ValueError("protect: a tool that is not a function of this process runs where it cannot be gated")
