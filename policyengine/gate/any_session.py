"""The policies for an unknown session, or for unknown arguments: whatever rules test in these may be true, and may be
false.

In: policies. Out: policies that allow everything that these allow in any session, or for arguments with any readers.
They serve for lists of tools that must not depend on what a session did, or for which no arguments are known. No call
is decided with them.
"""

from __future__ import annotations

from dataclasses import replace
from threading import Lock

from policyengine.bundle import Snapshot
from policyengine.check.readers import READERS
from policyengine.gate.history import HISTORY
from policyengine.ir.nodes import And, Attribute, Const, Expr, Has, If, Not, Or, PolicySet, Root
from policyengine.ir.walk import walk
from policyengine.model.types import BOOL
from policyengine.partial.residual import Partial

# The context attributes that depend on the arguments, and those that depend on the session as well.
_OF_ARGUMENTS = frozenset({READERS})
_OF_SESSION = frozenset({"session", "request", HISTORY, READERS})
# How many results are kept, one for each engine's policies.
MOST = 8


class _Known:
    """The results for policies, the latest last. Policies are compared by identity, since comparing them by value takes
    long."""

    def __init__(self) -> None:
        self._made: list[tuple[PolicySet, frozenset[str], Partial]] = []
        self._lock = Lock()

    def of(self, snapshot: Snapshot, roots: frozenset[str]) -> Partial:
        with self._lock:
            for policies, without, partial in self._made:
                if policies is snapshot.policies and without is roots:
                    return partial
        made = Partial(loosened(snapshot.policies, roots), snapshot.schema, snapshot.world)
        with self._lock:
            self._made = [*self._made[1 - MOST :], (snapshot.policies, roots, made)]
        return made


_KNOWN = _Known()


def in_any_session(snapshot: Snapshot) -> Partial:
    """The residual policies if nothing is known of the session."""
    return _KNOWN.of(snapshot, _OF_SESSION)


def for_any_readers(snapshot: Snapshot) -> Partial:
    """The residual policies if nothing is known of who may see the arguments."""
    return _KNOWN.of(snapshot, _OF_ARGUMENTS)


def loosened(policies: PolicySet, roots: frozenset[str]) -> PolicySet:
    """The rules with these parts of the context unknown: a permit may hold, and any other rule may fail to hold."""
    rules = (replace(rule, condition=_may(rule.condition, rule.kind == "permit", roots)) for rule in policies.rules)
    return replace(policies, rules=tuple(rules))


def _may(expr: Expr, be: bool, roots: frozenset[str]) -> Expr:
    """The condition, with each test of an unknown part replaced so that the condition is `be` whenever it can be."""
    if not _asks(expr, roots):
        return expr
    match expr:
        case And(items=items) | Or(items=items):
            return replace(expr, items=tuple(_may(item, be, roots) for item in items))
        case Not(operand=operand):
            return replace(expr, operand=_may(operand, not be, roots))
        case If(condition=condition, then=then, otherwise=otherwise) if not _asks(condition, roots):
            return replace(expr, then=_may(then, be, roots), otherwise=_may(otherwise, be, roots))
    return Const(value=be, type=BOOL, span=expr.span)


def _asks(expr: Expr, roots: frozenset[str]) -> bool:
    return any(
        isinstance(node, Attribute | Has)
        and isinstance(node.base, Root)
        and node.base.name == "context"
        and node.name in roots
        for node in walk(expr)
    )
