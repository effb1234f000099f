"""A rule that is read in two steps: its head at once, and the rest on first use.

Only a few of many rules ever concern a request, and the index finds them by their heads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from policyengine.diagnostics.source import Span
from policyengine.ir.nodes import Expr, Footprint, Head, LimitSpec, ObligationSpec, Rule

# The fields of Rule that are read in the second step.
DeferredFields = tuple[Expr, tuple[ObligationSpec, ...], LimitSpec | None]


MODES = ("on_deny", "tried", "cuts")


class _Deferred:
    """A field of Rule that is read, with the rest, on first use."""

    def __init__(self, name: str) -> None:
        self._slot = Rule.__dict__[name]

    def __get__(self, rule: DeferredRule | None, owner: Any = None) -> Any:
        if rule is None:
            return self
        try:
            return self._slot.__get__(rule)
        except AttributeError:
            # Idempotent, so threads need no lock.
            for slot, value in zip(_SLOTS, rule.rest(), strict=True):
                slot.__set__(rule, value)
            return self._slot.__get__(rule)

    def __set__(self, rule: DeferredRule, value: Any) -> None:
        self._slot.__set__(rule, value)


_SLOTS = [Rule.__dict__[name] for name in ("condition", "obligations", "limit")]


# Rules are frozen, and ten thousand of them are made at once.
_FIRST = [Rule.__dict__[name].__set__ for name in ("kind", "name", "head", "span", "reason", *MODES, "footprint")]


class DeferredRule(Rule):
    """A Rule in every respect: equal to, and with the hash of, the Rule with the same fields."""

    __slots__ = ("rest",)
    rest: Callable[[], DeferredFields]
    condition = _Deferred("condition")
    obligations = _Deferred("obligations")
    limit = _Deferred("limit")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rule) and _said(self) == _said(other)

    def __hash__(self) -> int:
        return Rule.__hash__(self)


def deferred(
    kind: str,
    name: str,
    head: Head,
    span: Span,
    reason: str | None,
    modes: tuple[bool, bool, bool],
    footprint: Footprint,
    rest: Callable[[], DeferredFields],
) -> Rule:
    """The rule whose other fields `rest` returns; `modes` are those that MODES names. `rest` always returns the same
    and does not raise."""
    rule = object.__new__(DeferredRule)
    for put, value in zip(_FIRST, (kind, name, head, span, reason, *modes, footprint), strict=True):
        put(rule, value)
    object.__setattr__(rule, "rest", rest)
    return rule


def _said(rule: Rule) -> tuple[Any, ...]:
    modes = (rule.on_deny, rule.tried, rule.cuts)
    return (rule.kind, rule.name, rule.head, rule.condition, rule.reason, *modes, rule.obligations, rule.limit)
