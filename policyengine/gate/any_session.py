"""The policies as they are for some session: what rules ask of it may be so, and may not be so.

In: policies. Out: policies that allow whatever these allow in a session that has done anything whatever. A list that
others rely on, and that does not depend on what a session did, is made with them; no call is decided with them.
"""

from __future__ import annotations

from dataclasses import replace
from threading import Lock

from policyengine.bundle import Snapshot
from policyengine.check.readers import READERS
from policyengine.gate.history import HISTORY
from policyengine.ir.nodes import And, Attribute, Const, Expr, Has, If, Not, Or, PolicySet, Root, Rule
from policyengine.ir.walk import walk
from policyengine.model.types import BOOL
from policyengine.partial.residual import Partial

# What the context says of a session.
_OF_SESSION = frozenset({"session", "request", HISTORY, READERS})
# The policies of so many engines are kept.
MOST = 8


class _Known:
    """What was made of policies, the latest last. They are told apart as objects: to compare them takes long."""

    def __init__(self) -> None:
        self._made: list[tuple[PolicySet, Partial]] = []
        self._lock = Lock()

    def of(self, snapshot: Snapshot) -> Partial:
        with self._lock:
            for policies, partial in self._made:
                if policies is snapshot.policies:
                    return partial
        made = Partial(loosened(snapshot.policies), snapshot.schema, snapshot.world)
        with self._lock:
            self._made = [*self._made[1 - MOST :], (snapshot.policies, made)]
        return made


_KNOWN = _Known()


def in_any_session(snapshot: Snapshot) -> Partial:
    """What answers for these policies where nothing is known of the session."""
    return _KNOWN.of(snapshot)


def loosened(policies: PolicySet) -> PolicySet:
    return replace(policies, rules=tuple(map(_loosened, policies.rules)))


def _loosened(rule: Rule) -> Rule:
    """A permit may hold, and whatever takes away may not."""
    return replace(rule, condition=_may(rule.condition, rule.kind == "permit"))


def _may(expr: Expr, be: bool) -> Expr:
    """The condition, with what it asks of the session put so that it comes to this as soon as it can."""
    if not _asks(expr):
        return expr
    match expr:
        case And(items=items) | Or(items=items):
            return replace(expr, items=tuple(_may(item, be) for item in items))
        case Not(operand=operand):
            return replace(expr, operand=_may(operand, not be))
        case If(condition=condition, then=then, otherwise=otherwise) if not _asks(condition):
            return replace(expr, then=_may(then, be), otherwise=_may(otherwise, be))
    return Const(value=be, type=BOOL, span=expr.span)


def _asks(expr: Expr) -> bool:
    return any(
        isinstance(node, Attribute | Has)
        and isinstance(node.base, Root)
        and node.base.name == "context"
        and node.name in _OF_SESSION
        for node in walk(expr)
    )
