"""Which tools a list shows: all except those for which no arguments could be allowed.

The list is the residual of the policies for a tool of which only the name is known. Approvals, limits and obligations
hide no tool, because they can be met later.

A long list is computed in slices of counted work, so that the event loop gets a turn after each.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from policyengine.bundle import Snapshot
from policyengine.cooperative import at_once
from policyengine.gate.any_session import in_any_session
from policyengine.gate.argument_bounds import Keywords, argument_limits
from policyengine.model.request import request
from policyengine.model.values import Fault, is_text, plain_text
from policyengine.partial.possible_resources import PossibleResources
from policyengine.partial.residual import Partial
from policyengine.schema.schema import CALL, TOOL
from policyengine.state.session_calls import SessionState
from policyengine.state.session_grants import as_read

# The work of one slice. A tool counts as one, or as ANEW if something has to be worked out for it.
SLICE, ANEW = 2_048, 32
Slices = Generator[None, None, list[str]]


def callable_slices(
    snapshot: Snapshot,
    principal: Mapping[str, Any],
    context: Mapping[str, Any],
    names: Iterable[str],
    session: SessionState | None = None,
    partial: Partial | None = None,
) -> Slices:
    """Those of the names that are shown, in order, slice by slice. None for a malformed request. `partial` replaces the
    snapshot's own."""
    answering = snapshot.partial if partial is None else partial
    known = in_session(context, session)
    evaluator = snapshot.evaluator
    met = evaluator.met(evaluator.approvals, True)
    owed = frozenset(one.type for rule in snapshot.policies.rules for one in rule.obligations)
    possible: PossibleResources | None = None
    listed = []
    work = 0
    for name in names:
        if work >= SLICE:
            work = 0
            yield
        tool = {"type": TOOL, "id": name}
        try:
            possible = possible or PossibleResources(answering, request(principal, CALL, tool, known), owed, met)
        except Fault:
            return []
        if not is_text(name):
            return []
        before = possible.found
        if snapshot.denial(principal, CALL, tool, known) is None and possible.is_possible(plain_text(name)):
            listed.append(name)
        work += 1 + ANEW * (possible.found - before)
    return listed


def in_session(context: Mapping[str, Any], session: SessionState | None) -> dict[str, Any]:
    """The context of a request, with what is known of its session."""
    known = dict(context)
    if session is not None:
        started = datetime.fromtimestamp(session.started, UTC).isoformat()
        known["session"] = {
            "type": "Session", "id": session.id, **as_read(session.labels, session.grants),
            "calls": list(session.calls), "started": started,
        }  # fmt: skip
    return known


def listed_tools(
    snapshot: Snapshot, principal: Mapping[str, Any], context: Mapping[str, Any], names: Iterable[str]
) -> list[str]:
    """The tools that could be called in some session."""
    return at_once(listed_slices(snapshot, principal, context, names))


def listed_slices(
    snapshot: Snapshot, principal: Mapping[str, Any], context: Mapping[str, Any], names: Iterable[str]
) -> Slices:
    """As `listed_tools`, slice by slice."""
    return callable_slices(snapshot, principal, context, names, partial=in_any_session(snapshot))


def listed_limits(
    snapshot: Snapshot, principal: Mapping[str, Any], context: Mapping[str, Any], names: Iterable[str]
) -> dict[str, dict[str, list[Keywords]]]:
    """The limits of arguments, by tool and argument, that hold in every session."""
    return argument_limits(snapshot, principal, context, names, in_any_session(snapshot))
