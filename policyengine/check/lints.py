"""Findings about policies that are well typed, but not what anybody means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import inf

from policyengine.check.environment import Findings
from policyengine.check.patterns import lint_patterns
from policyengine.diagnostics import codes
from policyengine.diagnostics.diagnostic import Note
from policyengine.diagnostics.source import Span
from policyengine.ir.equivalence import key as key_of
from policyengine.ir.nodes import And, Compare, Const, Equal, Expr, Not, Or, Rule, Scope
from policyengine.model.operators import key
from policyengine.syntax import ast
from policyengine.syntax.quoting import is_identifier, string
from policyengine.syntax.walk import mentions


def lint_defines(unused: Iterable[ast.Define], findings: Findings) -> None:
    for define in unused:
        message = f"`{define.name.text}` is never used"
        findings.report(codes.UNUSED_DEFINE, define.name.span, message, "", "remove it, or use it")


def lint_fixtures(unused: Iterable[ast.Fixture], findings: Findings) -> None:
    for fixture in unused:
        message = f"no test uses the fixture `{fixture.name.text}`"
        findings.report(codes.UNUSED_FIXTURE, fixture.name.span, message, "", "remove it, or `use` it in a test")


def lint_parameters(define: ast.Define, findings: Findings) -> None:
    for param in define.params:
        if not mentions(define.body, param.name.text):
            message = f"`{param.name.text}` is never used in `{define.name.text}`"
            findings.report(codes.UNUSED_PARAMETER, param.name.span, message, "", "remove it, or use it")


def lint_rule(rule: Rule, tree: ast.Rule, findings: Findings) -> None:
    """Check one rule by itself."""
    at = tree.name.span
    conditions = [c for c in tree.clauses if isinstance(c, ast.When)]
    name = tree.name.text
    if _certain(rule.condition) is False:
        findings.report(codes.NEVER_MATCHES, at, f"`{name}` can never match", "its condition is never true")
    elif clash := _contradiction(rule.condition):
        findings.report(
            codes.NEVER_MATCHES, clash.span, f"`{name}` can never match", "contradicts an earlier condition"
        )
    elif conditions and _certain(rule.condition) is True:
        findings.report(
            codes.ALWAYS_MATCHES, conditions[0].span, f"the condition of `{name}` is always true", "", "leave it out"
        )
    if rule.kind == "permit" and isinstance(tree.head.resource, ast.AnyScope):
        findings.report(
            codes.PERMIT_ANY, tree.head.resource.span, f"`{name}` permits on any resource", "",
            "name the types it is meant for: types declared later would be permitted too",
        )  # fmt: skip
    lint_patterns(rule, findings)


def _certain(expr: Expr) -> bool | None:
    """The value of a condition, if it is the same for every request for which it has a value."""
    match expr:
        case Const(value=bool() as value):
            return value
        case Equal(left=left, right=right, negated=negated) if left == right:
            return not negated
        case Equal(left=Const(value=left), right=Const(value=right), negated=negated):
            return (_exact(left) == _exact(right)) is not negated
        case Not(operand=operand):
            inner = _certain(operand)
            return None if inner is None else not inner
        case And(items=items) | Or(items=items):
            decides = isinstance(expr, Or)
            worths = {_certain(item) for item in items}
            return decides if decides in worths else None if None in worths else not decides
    return None


def _exact(value: object) -> object:
    """A constant in the form in which it is compared: `true` is not `1`."""
    return (type(value).__name__, key(value)) if isinstance(value, bool) else key(value)


def _conjuncts(expr: Expr) -> tuple[Expr, ...]:
    return expr.items if isinstance(expr, And) else (expr,)


def _contradiction(expr: Expr) -> Expr | None:
    """A conjunct that requires a second, different constant, or a value that an earlier conjunct excludes."""
    wanted: dict[Expr, object] = {}
    bounds: dict[Expr, tuple[float, float]] = {}
    for part in _conjuncts(expr):
        if isinstance(part, Compare) and _excludes(part, bounds):
            return part
        if not isinstance(part, Equal) or part.negated:
            continue
        for side, other in ((part.left, part.right), (part.right, part.left)):
            if isinstance(other, Const) and not isinstance(side, Const):
                constant = _exact(other.value)
                if wanted.setdefault(side, constant) != constant:
                    return part
    return None


_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


def _excludes(part: Compare, bounds: dict[Expr, tuple[float, float]]) -> bool:
    """Records the bound of a comparison with a number; returns whether nothing is left between the bounds."""
    side, op, limit = part.left, part.op, part.right
    if isinstance(side, Const):
        side, op, limit = limit, _MIRRORED[op], side  # type: ignore[assignment]
    if not isinstance(limit, Const) or isinstance(side, Const) or type(limit.value) not in (int, float):
        return False
    low, high = bounds.get(side, (-inf, inf))
    low, high = (low, min(high, limit.value)) if op[0] == "<" else (max(low, limit.value), high)
    bounds[side] = (low, high)
    return low > high


def asks(rule: Rule) -> frozenset[bytes]:
    """Keys of the conjuncts of a rule, all of which must hold."""
    return frozenset(
        key_of(part) for part in _conjuncts(rule.condition) if not (isinstance(part, Const) and part.value is True)
    )


def lint_rules(
    rules: list[Rule], names: Mapping[str, Span], asked_by: Mapping[str, frozenset[bytes]], findings: Findings
) -> None:
    """Check all rules together: a permit is unreachable if a forbid covers its head and requires no more than it does.
    `names` says where the name of a rule is written, and `asked_by` which rules have a conjunct."""
    permits = [rule for rule in rules if rule.kind == "permit"]
    permits_asking: dict[bytes, list[Rule]] = {}
    if not any(rule.kind == "forbid" for rule in rules):
        return
    for rule in permits:
        for part in asked_by[rule.name]:
            permits_asking.setdefault(part, []).append(rule)
    covered: dict[str, Rule] = {}
    for forbid in rules:
        if forbid.kind != "forbid":
            continue
        asked = asked_by[forbid.name]
        # Only permits with all of these conjuncts can be covered. Start with the permits that have the rarest one.
        near = min((permits_asking.get(part, []) for part in asked), key=len) if asked else permits
        for permit in near:
            if permit.name not in covered and asked <= asked_by[permit.name] and _covers(forbid, permit):
                covered[permit.name] = forbid
    for name, forbid in covered.items():
        findings.report(
            codes.UNREACHABLE_PERMIT, names[name], f"`{name.partition('.')[2]}` can never grant anything",
            f"`{forbid.name}` denies all of it", "remove the permit, or narrow the forbid",
            Note(names[forbid.name], "denied here"),
        )  # fmt: skip


# Not every grant is a permit: who may approve is stated where the approval is demanded.
NARROWED = frozenset({"approve"})
# A result marks a session whether or not it is permitted.
MARKED = frozenset({"receive"})


def lint_granted(rules: Iterable[Rule], names: Mapping[str, Span], findings: Findings) -> None:
    """Check all rules together: what no permit grants is denied whatever the other rules say, so a rule about it has no
    effect. Reported once for each action, at the first rule that names it."""
    granted: set[str] = set()
    about: dict[str, Rule] = {}
    for rule in rules:
        if rule.kind == "permit" and rule.head.actions is None:
            return
        if rule.kind == "permit":
            granted |= rule.head.actions or frozenset()
        else:
            for action in rule.head.actions or ():
                if rule.kind != "label" or action not in MARKED:
                    about.setdefault(action, rule)
    for action in sorted(about.keys() - granted - NARROWED):
        rule = about[action]
        findings.report(
            codes.NOTHING_PERMITS, names[rule.name], f"nothing permits `{action}`",
            f"every `{action}` is denied, with or without this rule",
            f"add what is allowed, such as `permit NAME: {_action(action)} on {_type(rule)}`",
        )  # fmt: skip


def _action(name: str) -> str:
    return name if is_identifier(name) else string(name)


def _type(rule: Rule) -> str:
    types = rule.head.resource.types or frozenset()
    return next(iter(types)) if len(types) == 1 else "TYPE"


def _covers(outer: Rule, inner: Rule) -> bool:
    actions = outer.head.actions is None or (
        inner.head.actions is not None and inner.head.actions <= outer.head.actions
    )
    return (
        actions
        and _scope_covers(outer.head.resource, inner.head.resource)
        and _scope_covers(outer.head.principal, inner.head.principal)
    )


def _scope_covers(outer: Scope, inner: Scope) -> bool:
    types = outer.types is None or (inner.types is not None and inner.types <= outer.types)
    entities = outer.entities is None or (inner.entities is not None and inner.entities <= outer.entities)
    within = outer.within is None or (inner.within is not None and inner.within <= outer.within)
    return types and entities and within
