"""What happens to each method of MCP, for your own server: decided, passed on, or refused as unknown.

Methods other than calls of tools are decided under the name of the method, which no tool can have. Unknown methods are
refused, because they could return results that nobody has checked.
"""

from __future__ import annotations

from types import MappingProxyType

# As JSON-RPC and COAZ number them.
DENIED, NOT_THERE = -32001, -32601
CALL, LIST = "tools/call", "tools/list"
# So many tasks of one session, and of all of them, are kept at a time; each for so many milliseconds at most.
MOST_TASKS_OF_ONE, MOST_TASKS, LONGEST_LIFE = 100, 10_000, 86_400_000
# What is not a tool, with the parameters that rules read.
METHODS = MappingProxyType(
    {
        "resources/read": ("uri",),
        "resources/subscribe": ("uri",),
        "prompts/get": ("name", "arguments"),
        "completion/complete": ("ref", "argument", "context"),
    }
)
# What tells of a server what it is and what there is, and of a client what it wants to be told.
_HARMLESS = frozenset(
    {
        "initialize", "ping", "server/discover", "logging/setLevel", "prompts/list", "resources/list",
        "resources/templates/list", "resources/unsubscribe", "subscriptions/listen",
    }
)  # fmt: skip
NOT_GATED = "this method is not gated, and so it is not there"
IN_A_TASK = "a call that goes on in a task is not gated: its result would come another way"


def is_harmless(method: str) -> bool:
    """Whether a method is passed on as it is."""
    return method in _HARMLESS or method.startswith("notifications/")
