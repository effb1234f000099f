"""Which tools a list shows: all but those that no arguments could be allowed for.

It is the residual of the policies over a tool of which only the name is known. An approval, a limit and an obligation
hide nothing: they are met on the way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from policyengine.bundle import Snapshot
from policyengine.gate.limits import Keywords, argument_limits
from policyengine.model.request import request
from policyengine.model.values import Fault, is_text, plain_text
from policyengine.partial.among import Among
from policyengine.schema.schema import CALL, TOOL
from policyengine.state.narrowing import as_read
from policyengine.state.session_calls import SessionState


def callable_tools(
    snapshot: Snapshot,
    principal: Mapping[str, Any],
    context: Mapping[str, Any],
    names: Iterable[str],
    session: SessionState | None = None,
) -> list[str]:
    """Those of the names, in their order. None for a request that is malformed."""
    known = in_session(context, session)
    evaluator = snapshot.evaluator
    met = evaluator.met(evaluator.approvals, True)
    owed = frozenset(one.type for rule in snapshot.policies.rules for one in rule.obligations)
    among: Among | None = None
    listed = []
    for name in names:
        tool = {"type": TOOL, "id": name}
        try:
            among = among or Among(snapshot.partial, request(principal, CALL, tool, known), owed, met)
        except Fault:
            return []
        if not is_text(name):
            return []
        if snapshot.denial(principal, CALL, tool, known) is None and among.is_possible(plain_text(name)):
            listed.append(name)
    return listed


def in_session(context: Mapping[str, Any], session: SessionState | None) -> dict[str, Any]:
    """What is known of a request, and of the session that it belongs to."""
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
    """Those that some session could call: one that has just begun, or one that carries every label there is."""
    wanted = list(names)
    found: set[str] = set()
    for session in _extremes(snapshot):
        left = [name for name in wanted if name not in found]
        found.update(callable_tools(snapshot, principal, context, left, session))
    return [name for name in wanted if name in found]


def listed_limits(
    snapshot: Snapshot, principal: Mapping[str, Any], context: Mapping[str, Any], names: Iterable[str]
) -> dict[str, dict[str, list[Keywords]]]:
    """The limits of arguments, by tool and argument, that hold in each of those sessions."""
    wanted = list(names)
    each = [
        argument_limits(snapshot, principal, in_session(context, session), wanted) for session in _extremes(snapshot)
    ]
    # Where nothing is allowed in one of them, nothing is said of the other.
    first, second = each
    found: dict[str, dict[str, list[Keywords]]] = {}
    for name in first.keys() & second.keys():
        shared = {
            argument: both
            for argument, told in first[name].items()
            if (both := [one for one in told if one in second[name].get(argument, ())])
        }
        if shared:
            found[name] = shared
    return found


def _extremes(snapshot: Snapshot) -> tuple[SessionState, SessionState]:
    """A session that has just begun, and one that carries every label there is."""
    labels = tuple(rule.name.rpartition(".")[2] for rule in snapshot.policies.rules if rule.kind == "label")
    return SessionState("", (), (), 0.0, 0.0), SessionState("", labels, (), 0.0, 0.0)
