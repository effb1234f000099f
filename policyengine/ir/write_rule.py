"""A typed rule as `.pol` text: its head, its condition and its obligations; see `write.py`."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import timedelta

from policyengine.ir.nodes import Const, Expect, Expr, Head, LimitSpec, ObligationSpec, Rule, Scope
from policyengine.ir.walk import walk
from policyengine.ir.write import Words, definition, tree
from policyengine.model import periods
from policyengine.model.values import Uid
from policyengine.schema.schema import Schema
from policyengine.syntax import ast, synthetic
from policyengine.syntax.format import format_declaration
from policyengine.syntax.quoting import is_identifier
from policyengine.syntax.synthetic import NOWHERE


def rule_text(rule: Rule, name: str, schema: Schema, explicit: bool) -> str:
    """The rule with this name; with `explicit`, it calls the definitions it needs. Raises Unwritable."""
    words = _words(rule.head, schema, explicit)
    body: ast.RequireBody | ast.LimitBody | None = None
    if rule.limit is not None:
        body = _limit(rule.limit, words)
    elif rule.kind == "require":
        owed = tuple(_obligation(spec, words) for spec in rule.obligations)
        body = ast.RequireBody(on_deny=rule.on_deny, obligations=owed, span=NOWHERE)
    head, clauses = head_tree(rule.head, schema), tuple(_clauses(rule, words))
    made_rule = ast.Rule(kind=rule.kind, name=synthetic.name(name), head=head, clauses=clauses, body=body, span=NOWHERE)
    return f"{format_declaration(made_rule)}\n"


def definitions(rule: Rule) -> dict[str, str]:
    """The definitions that make expectations explicit, by name. Raises Unwritable."""
    needed = [definition(node.type) for expr in parts(rule) for node in walk(expr) if isinstance(node, Expect)]
    return {each.name.text: format_declaration(each) for each in needed}


def parts(rule: Rule) -> list[Expr]:
    """Every expression of a rule."""
    exprs = [rule.condition, *(value for spec in rule.obligations for _, value in spec.properties)]
    if rule.limit is not None:
        exprs += [rule.limit.ceiling, *rule.limit.by, *([rule.limit.of] if rule.limit.of is not None else [])]
    return exprs


def _clauses(rule: Rule, words: Words) -> Iterator[ast.Clause]:
    if not (isinstance(rule.condition, Const) and rule.condition.value is True):
        yield ast.When(negated=False, condition=tree(rule.condition, words), span=NOWHERE)
    if rule.reason is not None:
        yield ast.Because(text=synthetic.text(rule.reason), span=NOWHERE)
    if rule.tried:
        yield ast.Mode(words="match log", span=NOWHERE)
    if rule.cuts:
        yield ast.Mode(words="stream cut", span=NOWHERE)


def head_tree(head: Head, schema: Schema) -> ast.Head:
    names = schema.actions if head.actions is None else head.actions
    resources = frozenset().union(*(schema.resources_of(name) for name in names))
    principals = frozenset().union(*(schema.principals_of(name) for name in names))
    actions = () if head.actions is None else tuple(map(synthetic.name, sorted(head.actions)))
    resource = _scope(head.resource, resources) or ast.AnyScope(span=NOWHERE)
    return ast.Head(actions=actions, resource=resource, principal=_scope(head.principal, principals), span=NOWHERE)


def _scope(scope: Scope, possible: Collection[str]) -> ast.ScopeOf | None:
    """None if the scope covers everything that is possible."""
    of: tuple[ast.Name | ast.EntityLit, ...]
    if scope.entities is not None:
        of = tuple(_entity(uid) for uid in sorted(scope.entities))
    elif scope.within is None and scope.types == possible and len(possible) != 1:
        return None
    else:
        of = tuple(synthetic.name(name) for name in sorted(scope.types or ()))
    within = tuple(_entity(uid) for uid in sorted(scope.within or ()))
    return ast.ScopeOf(items=of, within=within, span=NOWHERE)


def _entity(uid: Uid) -> ast.EntityLit:
    return synthetic.entity(uid.type, uid.id)


def _words(head: Head, schema: Schema, explicit: bool) -> Words:
    types = head.resource.types or frozenset()
    resource = next(iter(types)).lower() if len(types) == 1 else "resource"
    if resource in ("principal", "action", "context") or not is_identifier(resource):
        resource = "resource"
    return Words(resource, frozenset(schema.context), explicit)


def _obligation(spec: ObligationSpec, words: Words) -> ast.ObligationCall:
    args = tuple(
        ast.Argument(name=synthetic.name(name), value=tree(value, words), span=NOWHERE)
        for name, value in spec.properties
    )
    return ast.ObligationCall(name=synthetic.name(spec.type), args=args, span=NOWHERE)


def _limit(limit: LimitSpec, words: Words) -> ast.LimitBody:
    per: ast.Literal | ast.Name | None = None
    if limit.per is not None:
        per = synthetic.name(limit.per) if isinstance(limit.per, str) else _length(limit.per)
    share = None
    if limit.share and limit.per is not None:
        share = synthetic.number(limit.share), _length(limit.over * periods.length(limit.per))
    return ast.LimitBody(
        ceiling=tree(limit.ceiling, words),
        of=None if limit.of is None else tree(limit.of, words),
        per=per,
        by=tuple(tree(key, words) for key in limit.by),
        zone=synthetic.text(limit.zone) if limit.per is not None and limit.zone != "UTC" else None,
        block_for=_length(limit.block_for) if limit.block_for else None,
        failing="allow" if limit.fails_open else None,
        alert_at=synthetic.number(limit.alert_at) if limit.alert_at else None,
        advisory=limit.advisory,
        share=share,
        span=NOWHERE,
    )


def _length(seconds: float) -> ast.Literal:
    return synthetic.duration(timedelta(seconds=seconds))
