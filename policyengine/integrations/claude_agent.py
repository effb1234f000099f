"""The Claude Agent SDK: options with hooks that gate every call of a tool, including the calls of agents within the
agent.

    options = protect(ClaudeAgentOptions(mcp_servers=servers, setting_sources=[]), session)

Hooks of one kind run in parallel, so a change that another hook makes to a call would not be decided: options with
other hooks are refused. A hook that fails denies the call, and a program that would not call the hook does not start.
The hooks allow nothing by themselves: the permissions of the program still apply to what the policies allow. Calls and
answers of the model do not pass through them; use `session.release` on its final answer.

A hook cannot change what a tool says when it fails. A server of this process returns that as a result instead. If
another server says something that may not be shown, or that cannot be checked, no further call of the session runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from cachetools import LRUCache
from claude_agent_sdk import ClaudeAgentOptions, HookMatcher

from policyengine.call_approvals import Repeated
from policyengine.engine import Engine
from policyengine.gate.call import Observed, ToolCall
from policyengine.gate.results import given_back, looked_at
from policyengine.gate.run_call import ApproveAsync, called_async, ended_async
from policyengine.gate.session import Session

# So many calls may be under way; of one that is forgotten, nothing that it returns reaches the model.
CALLS = 10_000
BEFORE, AFTER, FAILED = "PreToolUse", "PostToolUse", "PostToolUseFailure"
UNSEEN = "the result of the tool could not be checked"
_MCP = "mcp__"
# Arguments of the program that bring hooks of their own.
_SETTINGS = frozenset({"settings", "setting-sources", "plugin-dir"})


def protect(
    options: ClaudeAgentOptions,
    session: Session,
    *,
    named: Callable[[str], str] = str,
    engine: Engine | None = None,
) -> ClaudeAgentOptions:
    """The options, gated. `named` is from the program's name of a tool, such as `mcp__shop__pay` or `Bash`, to that in
    the policies. With `engine`, a call that needs an approval asks for one in the store, and runs when the model makes
    it again after somebody has approved it there. Raises ValueError for options with which something else could change
    what was decided about."""
    hooks: dict[Any, Any] = dict(options.hooks or {})
    if any(hooks.get(event) for event in (BEFORE, AFTER, FAILED)) or options.can_use_tool is not None:
        raise ValueError("protect: other hooks around tools, and `can_use_tool`, could change a call that was decided")
    if options.setting_sources or options.plugins or options.settings or _SETTINGS & options.extra_args.keys():
        raise ValueError("protect: hooks of settings and plugins could change a call that was decided")
    for server in options.mcp_servers.values() if isinstance(options.mcp_servers, dict) else ():
        _says_errors_as_results(server)
    gate = _Hooks(session, named, Repeated(engine).approval_async if engine is not None else None)
    for event, hook in ((BEFORE, gate.before), (AFTER, gate.after), (FAILED, gate.failed)):
        hooks[event] = [HookMatcher(hooks=[hook], on_failure="block")]
    given = [*(options.tools if isinstance(options.tools, list) else ()), *options.allowed_tools]
    known = {name.partition("(")[0] for name in given}
    listed = set(session.listed([named(name) for name in known]))
    never = sorted(name for name in known if named(name) not in listed)
    hidden = [*options.disallowed_tools, *never]
    return replace(options, hooks=hooks, setting_sources=[], disallowed_tools=hidden)


class _Hooks:
    def __init__(self, session: Session, named: Callable[[str], str], approve: ApproveAsync | None) -> None:
        self._session = session
        self._named = named
        self._approve = approve
        self._calls: LRUCache[str, ToolCall] = LRUCache(CALLS)
        self._blind = False

    async def before(self, hook_input: Any, _: str | None, __: Any) -> Any:
        if self._blind:
            return _denied("the model was given something that it may not read")
        try:
            name = self._named(hook_input["tool_name"])
            call = await called_async(self._session, name, hook_input["tool_input"], self._approve)
        except Exception:  # noqa: BLE001  whatever it is, the tool does not run
            return _denied("the call could not be decided")
        if not call.allowed:
            return _denied(call.reason)
        self._calls[hook_input["tool_use_id"]] = call
        if call.arguments == hook_input["tool_input"]:
            return {}
        return {"hookSpecificOutput": {"hookEventName": BEFORE, "updatedInput": dict(call.arguments or {})}}

    async def after(self, hook_input: Any, _: str | None, __: Any) -> Any:
        result = hook_input["tool_response"]
        try:
            seen = await self._observed(hook_input, result)
        except Exception:  # noqa: BLE001  whatever it is, nobody has looked
            return _withheld(hook_input["tool_name"], UNSEEN)
        if not seen.allowed:
            return _withheld(hook_input["tool_name"], seen.reason)
        back = _back(result, seen)
        if back == result:
            return {}
        return {"hookSpecificOutput": {"hookEventName": AFTER, "updatedToolOutput": back}}

    async def failed(self, hook_input: Any, _: str | None, __: Any) -> Any:
        """What an error says goes to the model as it is, whatever a hook answers."""
        error = hook_input.get("error", "")
        try:
            seen = await self._observed(hook_input, error)
            self._blind |= not seen.allowed or given_back(error, looked_at(error), seen) != error
        except Exception:  # noqa: BLE001  whatever it is, nobody has looked
            self._blind = True
        return {}

    async def _observed(self, hook_input: Mapping[str, Any], result: Any) -> Observed:
        """Raises KeyError for a call that was not decided here."""
        call = self._calls.pop(hook_input["tool_use_id"])
        try:
            return await self._session.observe_async(call, _looked_at(result))
        except BaseException:
            await ended_async(call)
            raise


def _says_errors_as_results(server: Any) -> None:
    """A server of this process: a result that is an error, but is not called one, goes through the hooks."""
    within = server.get("instance") if isinstance(server, dict) else None
    if within is not None and hasattr(within, "middleware") and _as_result not in within.middleware:
        within.middleware.append(_as_result)


async def _as_result(context: Any, call_next: Any) -> Any:
    answer = await call_next(context)
    if context.method != "tools/call" or answer is None:
        return answer
    result = dict(answer) if isinstance(answer, Mapping) else answer.model_dump(mode="json", by_alias=True)
    return {**result, "isError": False}


def _looked_at(result: Any) -> Any:
    """The one text of a result of MCP, as rules read it; or all of it."""
    text = _text(result)
    return looked_at(result if text is None else text)


def _text(result: Any) -> str | None:
    if (
        isinstance(result, list)
        and len(result) == 1
        and isinstance(result[0], dict)
        and result[0].get("type") == "text"
    ):
        text = result[0].get("text")
        return text if isinstance(text, str) else None
    return None


def _back(result: Any, seen: Observed) -> Any:
    text = _text(result)
    if text is None:
        return given_back(result, looked_at(result), seen)
    final = given_back(text, looked_at(text), seen)
    return result if final == text else [{"type": "text", "text": str(final)}]


def _denied(reason: str) -> dict[str, Any]:
    return {
        "hookSpecificOutput": {
            "hookEventName": BEFORE, "permissionDecision": "deny", "permissionDecisionReason": reason,
        }
    }  # fmt: skip


def _withheld(tool: str, reason: str) -> dict[str, Any]:
    """The reason in the place of the result. What a tool of the program returns has to keep its form, so for one of
    those the run ends."""
    if not tool.startswith(_MCP):
        return _ended(reason)
    output = [{"type": "text", "text": reason}]
    return {"hookSpecificOutput": {"hookEventName": AFTER, "updatedToolOutput": output}}


def _ended(reason: str) -> dict[str, Any]:
    return {"continue_": False, "stopReason": reason}
