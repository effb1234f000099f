"""Findings about patterns that match more or less than they seem to.

`.` matches every character, including line breaks. That is safe where a pattern denies, and too wide where it grants.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from policyengine.check.environment import Findings
from policyengine.diagnostics import codes
from policyengine.ir.nodes import And, Call, Const, Equal, Expr, If, Not, Or, Quantifier, Rule
from policyengine.ir.walk import children, walk

_SEARCHED = re.compile(r"(?:\(\?[a-zA-Z-]*\))?\.\*(?P<part>.*?)\.\*\$?", re.DOTALL)
# What does not count as a wildcard: an escaped character, quoted text, a class.
_PLAIN = re.compile(
    r"\\Q.*?(?:\\E|$)|\\.|\[\^?\]?(?:\[:\w+:\]|\\.|[^\]\\])*\]|\((?:\?[a-zA-Z-]*-[a-zA-Z]*s)|.", re.DOTALL
)


def patterns_of(rules: Iterable[Rule]) -> frozenset[str]:
    """All patterns in the conditions of rules."""
    calls = (node for rule in rules for node in walk(rule.condition) if isinstance(node, Call))
    patterns = (call.args[1] for call in calls if call.function in ("matches", "search"))
    return frozenset(one.value for one in patterns if isinstance(one, Const) and isinstance(one.value, str))


def lint_patterns(rule: Rule, findings: Findings) -> None:
    """The patterns of one rule."""
    for call, grants in _patterns(rule.condition, rule.kind == "permit", True):
        pattern = call.args[1]
        if not isinstance(pattern, Const) or not isinstance(pattern.value, str):
            continue
        searched = _SEARCHED.fullmatch(pattern.value)
        if call.function == "matches" and searched is not None and searched["part"]:
            findings.report(
                codes.SEARCHED_PATTERN, pattern.span, "a pattern between two `.*` matches anywhere", "",
                f'write `search({call.args[0].span.text}, "...")` with the pattern between them',
            )  # fmt: skip
        elif grants and _has_wide_dot(pattern.value):
            findings.report(
                codes.WIDE_DOT, pattern.span, "`.` also matches line breaks, and all that follows them", "",
                "name the characters that may occur there, such as `[a-z0-9 ]*`, or begin the pattern with `(?-s)`",
            )  # fmt: skip


def _patterns(expr: Expr, grants: bool, held: bool) -> Iterator[tuple[Call, bool]]:
    """The calls that take a pattern, each with whether matching one more text can allow more requests: in a permit
    where it must match, in any other rule where it must not. `held` is whether the expression must be true."""
    match expr:
        case Call(function="matches" | "search"):
            yield expr, grants is held
        case Not(operand=operand):
            yield from _patterns(operand, grants, not held)
        case And() | Or() | Quantifier():
            for part in children(expr):
                yield from _patterns(part, grants, held)
        case If(condition=condition, then=then, otherwise=otherwise):
            yield from _either_way(condition, grants)
            yield from _patterns(then, grants, held)
            yield from _patterns(otherwise, grants, held)
        case Equal():
            for part in children(expr):
                yield from _either_way(part, grants)
        case _:
            for part in children(expr):
                yield from _patterns(part, grants, held)


def _either_way(expr: Expr, grants: bool) -> Iterator[tuple[Call, bool]]:
    """The same for an expression that counts both when it is true and when it is false."""
    for call, _ in _patterns(expr, grants, grants):
        yield call, True


def _has_wide_dot(pattern: str) -> bool:
    """Whether the pattern has `.` as a wildcard, with no option that excludes line breaks."""
    signs = [plain_sign[0] for plain_sign in _PLAIN.finditer(pattern)]
    return "." in signs and not any(sign.startswith("(?") for sign in signs)
