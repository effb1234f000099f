"""Tools that run within a gated tool: the tools of an inner agent or graph that has no gate of its own.

LangChain notifies callbacks of every tool that starts, and passes the callbacks on to everything that runs within. A
callback of ours decides each such call on its arguments, in the session of the outer tool, and a denied call does not
start. Only the final result of the outer tool is checked; results within it stay within it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.tracers.context import register_configure_hook

from policyengine.gate.run_call import ended, within

# In the metadata of a tool that decides about its calls itself.
GATED = "policyengine_gated"


class DeniedWithin(PermissionError):
    """A tool within a tool may not run. The text may be shown."""


class _Watch(BaseCallbackHandler):
    raise_error = True
    run_inline = True

    def on_tool_start(
        self,
        serialized: Mapping[str, Any] | None,
        input_str: str,
        *,
        metadata: Mapping[str, Any] | None = None,
        inputs: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """Raises DeniedWithin."""
        session, name = within(), str((serialized or {}).get("name"))
        if session is None or (metadata or {}).get(GATED):
            return
        if name in (known := _DECIDED.get()):
            known.remove(name)
            return
        if inputs is None:
            raise DeniedWithin(f"`{name}` may not run: it is not called with named arguments")
        call = session.call(name, inputs)
        if call.allowed:
            ended(call)
        if not call.allowed or call.changed:
            raise DeniedWithin(
                call.reason or f"`{name}` may run with other arguments only, which it cannot be given here"
            )


_WATCHING: ContextVar[BaseCallbackHandler | None] = ContextVar("policyengine_watching", default=None)
# The tool that is about to begin, and is decided.
_DECIDED: ContextVar[list[str]] = ContextVar("policyengine_decided")
_WATCH = _Watch()
register_configure_hook(_WATCHING, inheritable=True)


@contextmanager
def beginning(name: str) -> Iterator[None]:
    """Where a tool runs that is decided: all that runs within it is watched."""
    watching, known = _WATCHING.set(_WATCH), _DECIDED.set([name])
    try:
        yield
    finally:
        _WATCHING.reset(watching)
        _DECIDED.reset(known)
