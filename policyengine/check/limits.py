"""Limits: from a tree to what is counted, by which keys, and up to which ceiling."""

from __future__ import annotations

from policyengine.check import operands, ranges
from policyengine.check.environment import Findings, TypeEnv
from policyengine.check.expressions import check_expression
from policyengine.diagnostics import codes
from policyengine.diagnostics.suggest import did_you_mean, one_of
from policyengine.ir.fold import fold
from policyengine.ir.nodes import Const, Expr, LimitSpec
from policyengine.model import periods, zones
from policyengine.model.types import NUMBER, ListT, SetT
from policyengine.syntax import ast

PERIODS = tuple(periods.CALENDAR)

# The most periods that a meter remembers, and the most that a ceiling may be of their average, in percent.
MOST_PERIODS = 366
MOST_PERCENT = 10_000


def check_limit(tree: ast.LimitBody, env: TypeEnv) -> LimitSpec:
    findings = env.place.findings
    ceiling = _ceiling(tree, env)
    ranges.not_below(ceiling, 0, f"{_called(tree)} must not be negative", findings)
    of = None
    if tree.of is not None:
        of = operands.need(check_expression(tree.of, env).expr, NUMBER, "what is metered", findings)
        _check_metered(of, findings)
    per: float | str | None = None
    if isinstance(tree.per, ast.Name):
        per = tree.per.text
        if per not in PERIODS:
            help_ = did_you_mean(per, PERIODS) or f"use one of {one_of(PERIODS)}, or a duration such as `1m`"
            findings.report(codes.UNKNOWN_NAME, tree.per.span, f"unknown period `{per}`", "", help_)
    elif tree.per is not None:
        per = ranges.seconds(tree.per, "a period", findings)
    zone = _zone(tree, findings)
    by = tuple(check_expression(key, env).expr for key in tree.by)
    for key in by:
        if operands.holds_record(key.type) or isinstance(key.type, SetT | ListT):
            findings.report(codes.WRONG_TYPE, key.span, f"a limit cannot count by {key.type}", "", "use a single value")
    share, over = _baseline(tree, per, findings)
    return LimitSpec(
        ceiling=fold(ceiling),
        of=fold(of) if of is not None else None,
        per=per,
        by=by,
        zone=zone,
        block_for=ranges.seconds(tree.block_for, "a block", findings) if tree.block_for is not None else 0.0,
        fails_open=tree.failing == "allow",
        alert_at=_share(tree, findings),
        advisory=tree.advisory,
        share=share,
        over=over,
    )


def _ceiling(tree: ast.LimitBody, env: TypeEnv) -> Expr:
    findings = env.place.findings
    if tree.ceiling is None:
        help_ = "end it with a minimum for keys without past usage, such as `at least 1000`"
        findings.report(codes.NO_FLOOR, tree.span, "a relative ceiling needs a floor", "", help_)
        return Const(value=0, type=NUMBER, span=tree.span)
    return operands.need(check_expression(tree.ceiling, env).expr, NUMBER, _called(tree), findings)


def _called(tree: ast.LimitBody) -> str:
    return "a ceiling" if tree.share is None else "a floor"


def _check_metered(of: Expr, findings: Findings) -> None:
    """A constant that is zero or less is never counted, so such a limit counts nothing."""
    for one in ranges.constants(fold(of)):
        if type(one.value) in (int, float) and one.value <= 0:
            findings.report(codes.BAD_CONSTANT, one.span, "what is metered must be more than zero")
            return


def _baseline(tree: ast.LimitBody, per: float | str | None, findings: Findings) -> tuple[int, int]:
    """The percentage of the average that is the ceiling, and the number of periods in the average; zeros for a ceiling
    that is not relative."""
    if tree.share is None:
        return 0, 0
    share, over = tree.share
    if type(share.value) is not int or not 1 <= share.value <= MOST_PERCENT:
        findings.report(
            codes.BAD_CONSTANT,
            share.span,
            f"the percentage of the average must be a whole number from 1 to {MOST_PERCENT}",
        )
        return 0, 0
    if per is None:
        help_ = "write `per day` or another period; what is in flight has no average"
        findings.report(codes.BAD_BASELINE, over.span, "an average needs a period", "", help_)
        return 0, 0
    if (isinstance(per, str) and per not in periods.CALENDAR) or not periods.length(per):
        return 0, 0
    seconds = over.value.total_seconds()  # type: ignore[union-attr]
    count, rest = divmod(seconds, periods.length(per))
    if rest or not 1 <= count <= MOST_PERIODS:
        help_ = "a month counts as 30 days, and a year as 365" if per in ("month", "year") else ""
        findings.report(
            codes.BAD_BASELINE,
            over.span,
            f"the average must span 1 to {MOST_PERIODS} whole periods of the limit",
            "",
            help_,
        )
        return 0, 0
    return share.value, int(count)


def _share(tree: ast.LimitBody, findings: Findings) -> int:
    """The percentage of the ceiling from which people are told."""
    if tree.alert_at is None:
        return 0
    share = tree.alert_at.value
    if type(share) is not int or not 1 <= share <= 100:
        findings.report(
            codes.BAD_CONSTANT, tree.alert_at.span, "the percentage of a ceiling must be a whole number from 1 to 100"
        )
        return 0
    return share


def _zone(tree: ast.LimitBody, findings: Findings) -> str:
    """The time zone of a calendar period."""
    if tree.zone is None:
        return "UTC"
    name = str(tree.zone.value)
    if not isinstance(tree.per, ast.Name):
        findings.report(
            codes.WRONG_ARGUMENTS, tree.zone.span, "only a calendar period has a time zone", "",
            f"write `per {PERIODS[2]}`, or leave the zone out: a duration is the same everywhere",
        )  # fmt: skip
    elif name not in zones.names():
        help_ = did_you_mean(name, zones.names()) or 'write a name such as `"Europe/Berlin"`'
        findings.report(codes.UNKNOWN_NAME, tree.zone.span, "unknown time zone", "", help_)
    return name
