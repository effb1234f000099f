"""Rules and claims: from a tree to a typed rule."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from policyengine.check import operands, ranges
from policyengine.check.environment import UNKNOWN, Findings, Place, TooLarge, Typed, TypeEnv
from policyengine.check.expressions import check_condition, check_expression
from policyengine.check.heads import check_head
from policyengine.check.limits import check_limit
from policyengine.check.modes import refuse_modes, with_modes
from policyengine.check.narrowing import NOTHING, Narrowing, both
from policyengine.diagnostics import codes
from policyengine.diagnostics.suggest import did_you_mean, one_of
from policyengine.ir.fold import fold
from policyengine.ir.nodes import APPROVAL, And, Const, Expr, Not, ObligationSpec, Proof, Rule
from policyengine.model.types import BOOL, ListT, RecordField, RecordT, SetT, unrefined
from policyengine.syntax import ast


def check_rule(tree: ast.Rule, place: Place) -> Rule | None:
    """The typed rule; None, with a finding, if it is too large to write out."""
    place = replace(place, warn_absent=tree.kind != "permit")
    try:
        checked = check_head(tree.head, place)
        condition = _condition(tree.clauses, TypeEnv(checked.place), tree)
        env = TypeEnv(checked.place, condition.when_true)
        reason = next((c.text.value for c in tree.clauses if isinstance(c, ast.Because)), None)
        rule = Rule(
            kind=tree.kind,
            name=f"{place.module}.{tree.name.text}",
            head=checked.head,
            condition=condition.expr,
            reason=str(reason) if reason is not None else None,
            span=tree.span,
        )
        rule = with_modes(rule, tree, place)
        match tree.body:
            case ast.RequireBody(on_deny=on_deny, obligations=calls):
                owed = tuple(_obligation(call, env) for call in calls)
                _check_approval(calls, owed, on_deny, env)
                return replace(rule, on_deny=on_deny, obligations=tuple(o for o in owed if o is not None))
            case ast.LimitBody():
                return replace(rule, limit=check_limit(tree.body, env))
        return rule
    except TooLarge:
        report_too_large(tree.name, place)
        return None


def check_proof(tree: ast.Prove, place: Place) -> Proof | None:
    try:
        checked = check_head(tree.head, place)
        condition = _condition(tree.clauses, TypeEnv(checked.place), tree).expr
        refuse_modes(tree, place)
    except TooLarge:
        report_too_large(tree.name, place)
        return None
    return Proof(
        name=f"{place.module}.{tree.name.text}", mode=tree.mode, head=checked.head, condition=condition, span=tree.span
    )


def report_too_large(name: ast.Name, place: Place) -> None:
    place.findings.report(
        codes.TOO_LARGE, name.span, f"`{name.text}` is too large once its definitions are written out", "",
        "split it, or let definitions use each other less often",
    )  # fmt: skip


def report_too_much(name: ast.Name, place: Place) -> None:
    place.findings.report(
        codes.TOO_LARGE, name.span,
        f"with `{name.text}` the rules are too large together, once their definitions are written out",
        "the rules from here on are not checked", "use large definitions in fewer rules",
    )  # fmt: skip


def _condition(clauses: tuple[ast.Clause, ...], env: TypeEnv, tree: ast.Rule | ast.Prove) -> Typed:
    """`when A unless B` is `A and not B`, evaluated in that order."""
    items: list[Expr] = []
    narrowing: Narrowing = NOTHING
    for clause in clauses:
        if not isinstance(clause, ast.When):
            continue
        typed = check_condition(clause.condition, env.knowing(narrowing))
        if clause.negated:
            items.append(Not(operand=typed.expr, type=BOOL, span=clause.span))
            narrowing = both(narrowing, typed.when_false)
        else:
            items.append(typed.expr)
            narrowing = both(narrowing, typed.when_true)
    if not items:
        return Typed(Const(value=True, type=BOOL, span=tree.name.span))
    span = items[0].span.to(items[-1].span)
    expr = items[0] if len(items) == 1 else And(items=tuple(items), type=BOOL, span=span)
    return Typed(fold(expr), narrowing)


# ---- obligations ----


def _obligation(call: ast.ObligationCall, env: TypeEnv) -> ObligationSpec | None:
    place = env.place
    known = {n: o for n, o in place.schema.obligations.items() if o.module in place.visible}
    declared = known.get(call.name.text)
    if declared is None:
        hidden = place.schema.obligations.get(call.name.text)
        help_ = did_you_mean(call.name.text, known) or f"known: {one_of(known)}; declare others with `obligation`"
        if hidden is not None:
            help_ = f"add `use {hidden.module}`"
        elif not known:
            help_ = f"declare it: `obligation {call.name.text}(...)`"
        place.findings.report(
            codes.UNKNOWN_OBLIGATION, call.name.span, f"unknown obligation `{call.name.text}`", "", help_
        )
        return None
    params = dict(declared.params)
    given: dict[str, Expr] = {}
    order = [name for name, _ in declared.params]
    for position, argument in enumerate(call.args):
        name = argument.name.text if argument.name is not None else order[position] if position < len(order) else None
        if name is None or name not in params or name in given:
            help_ = f"its properties are {one_of(params)}" if params else "it has no properties"
            what = "is given too many properties" if name is None else f"has no property `{name}`"
            message = f"`{name}` is given twice" if name in given else f"`{call.name.text}` {what}"
            place.findings.report(codes.WRONG_ARGUMENTS, argument.span, message, "", help_)
            continue
        given[name] = _property(argument.value, params[name], f"`{name}` of `{call.name.text}`", env)
    _check_counts(call.name.text, given, place.findings)
    missing = [n for n, f in declared.params if not f.optional and n not in given]
    if missing:
        place.findings.report(
            codes.WRONG_ARGUMENTS, call.span, f"`{call.name.text}` needs {one_of(missing)}", "",
            f"write `{missing[0]}: ...`",
        )  # fmt: skip
    return ObligationSpec(call.name.text, tuple(given.items()))


# Orders on a text count characters.
COUNTS = {"mask": "keep", "truncate": "to"}


def _check_counts(obligation: str, given: dict[str, Expr], findings: Findings) -> None:
    name = COUNTS.get(obligation)
    if name is not None and name in given:
        ranges.not_below(given[name], 0, f"`{name}` of `{obligation}` must be 0 or more", findings)


def _property(tree: ast.Expr, field: RecordField, what: str, env: TypeEnv) -> Expr:
    expr = fold(operands.need(check_expression(tree, env).expr, field.type, what, env.place.findings))
    if (
        isinstance(unrefined(field.type), SetT | ListT | RecordT)
        and not isinstance(expr, Const)
        and expr.type != UNKNOWN
    ):
        env.place.findings.report(codes.NOT_CONSTANT, tree.span, f"{what} must be a constant")
    return expr


# How often one approval may be used, how many people it may require, and how long it may hold.
MOST = {"uses": 1_000, "of": 16}
LONGEST = timedelta(days=366)


def _check_approval(
    calls: tuple[ast.ObligationCall, ...], owed: tuple[ObligationSpec | None, ...], on_deny: bool, env: TypeEnv
) -> None:
    """An approval is what an allow still lacks: it must be the only obligation, and its properties must be constant."""
    approvals = [(call, spec) for call, spec in zip(calls, owed, strict=True) if call.name.text == APPROVAL]
    if not approvals:
        return
    call, spec = approvals[0]
    if len(calls) > 1 or on_deny:
        env.place.findings.report(
            codes.WRONG_ARGUMENTS, call.span, "an approval must be alone in its rule", "",
            "an approval is for what would be allowed: leave out `on deny`" if on_deny
            else "write a second `require` for the other obligations",
        )  # fmt: skip
    for name, value in spec.properties if spec is not None else ():
        if not isinstance(value, Const):
            env.place.findings.report(codes.NOT_CONSTANT, value.span, f"`{name}` of `approval` must be a constant")
        elif name in ("uses", "of") and type(value.value) is int and not 1 <= value.value <= MOST[name]:
            most = MOST[name]
            env.place.findings.report(codes.BAD_CONSTANT, value.span, f"`{name}` of `approval` must be 1 to {most}")
        elif name == "within" and isinstance(value.value, timedelta) and not timedelta(0) < value.value <= LONGEST:
            env.place.findings.report(
                codes.BAD_CONSTANT,
                value.span,
                f"an approval must hold for more than zero and at most {LONGEST.days} days",
            )
