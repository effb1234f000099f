"""Agents that run within a tool that the gate runs, and have no gate of their own.

Frameworks have no place for this: an agent that a function runs is an agent like any other to them. So the method by
which an agent begins to run is watched, and asks first what is to run in its place.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from policyengine.gate.run_call import within
from policyengine.gate.session import Session

# What an agent has that is gated: the session that gates it.
GATE = "policyengine_session"


def watched(kind: type, method: str, gated: Callable[[Any, Session], Any]) -> None:
    """From now on what runs within a tool by this method of the class, and has no gate, is what `gated` makes of it for
    the session of that tool. What `gated` raises, that tool has."""
    runs = getattr(kind, method)

    @wraps(runs)
    def run(agent: Any, *given: Any, **named: Any) -> Any:
        session = within()
        if session is None or getattr(agent, GATE, None) is not None:
            return runs(agent, *given, **named)
        return getattr(gated(agent, session), method)(*given, **named)

    setattr(kind, method, run)
