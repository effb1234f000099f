"""A typed rule as `.pol` text: its head, its condition and what it imposes; see `write.py`."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from policyengine.ir.nodes import Const, Expect, Expr, Head, LimitSpec, ObligationSpec, Rule, Scope
from policyengine.ir.walk import walk
from policyengine.ir.write import Words, definition, literal, written
from policyengine.model import periods
from policyengine.model.values import Uid, duration_text
from policyengine.schema.schema import Schema
from policyengine.syntax.spelling import is_identifier, string


def rule_text(rule: Rule, name: str, schema: Schema, explicit: bool) -> str:
    """The rule under a name, with the definitions it needs if expectations are `explicit`. Raises Unwritable."""
    words = _words(rule.head, schema, explicit)
    lines = [f"{rule.kind} {name}: {head_text(rule.head, schema)}"]
    if not (isinstance(rule.condition, Const) and rule.condition.value is True):
        lines.append(f"  when {written(rule.condition, words)}")
    if rule.reason is not None:
        lines.append(f"  because {string(rule.reason)}")
    lines += ["  on match log"] if rule.tried else []
    lines += ["  on stream cut"] if rule.cuts else []
    if rule.on_deny:
        lines.append("  on deny")
    lines += [f"  {_obligation(spec, words)}" for spec in rule.obligations]
    if rule.limit is not None:
        lines.append(f"  {_limit(rule.limit, words)}")
    return "\n".join(lines) + "\n"


def definitions(rule: Rule) -> dict[str, str]:
    """The definitions that make expectations explicit, by name. Raises Unwritable."""
    return dict(definition(node.type) for expr in parts(rule) for node in walk(expr) if isinstance(node, Expect))


def parts(rule: Rule) -> list[Expr]:
    """Every expression of a rule."""
    found = [rule.condition, *(value for spec in rule.obligations for _, value in spec.properties)]
    if rule.limit is not None:
        found += [rule.limit.ceiling, *rule.limit.by, *([rule.limit.of] if rule.limit.of is not None else [])]
    return found


def head_text(head: Head, schema: Schema) -> str:
    names = schema.actions if head.actions is None else head.actions
    resources = frozenset().union(*(schema.resources_of(name) for name in names))
    principals = frozenset().union(*(schema.principals_of(name) for name in names))
    actions = "any" if head.actions is None else ", ".join(map(_name, sorted(head.actions)))
    resource = _scope(head.resource, resources) or "any"
    principal = _scope(head.principal, principals)
    return f"{actions} on {resource}" + (f" for {principal}" if principal else "")


def _scope(scope: Scope, possible: Collection[str]) -> str:
    """Empty where the scope is all that is possible anyway."""
    if scope.entities is not None:
        of = _listed([_entity(uid) for uid in sorted(scope.entities)])
    elif scope.within is None and scope.types == possible and len(possible) != 1:
        return ""
    else:
        of = _listed([string(name) if name == "any" else _name(name) for name in sorted(scope.types or ())])
    return of if scope.within is None else f"{of} in {_listed([_entity(uid) for uid in sorted(scope.within)])}"


def _listed(items: list[str]) -> str:
    return items[0] if len(items) == 1 else f"[{', '.join(items)}]"


def _entity(uid: Uid) -> str:
    return f"{_name(uid.type)}::{string(uid.id)}"


def _name(name: str) -> str:
    return name if is_identifier(name) else string(name)


def _words(head: Head, schema: Schema, explicit: bool) -> Words:
    types = head.resource.types or frozenset()
    resource = next(iter(types)).lower() if len(types) == 1 else "resource"
    if resource in ("principal", "action", "context") or not is_identifier(resource):
        resource = "resource"
    return Words(resource, frozenset(schema.context), explicit)


def _obligation(spec: ObligationSpec, words: Words) -> str:
    return f"{spec.type}({', '.join(f'{name}: {written(value, words)}' for name, value in spec.properties)})"


def _limit(limit: LimitSpec, words: Words) -> str:
    what = "concurrent"
    if limit.per is not None:
        of = "requests" if limit.of is None else f"of {written(limit.of, words)}"
        zone = f" in {literal(limit.zone)}" if limit.zone != "UTC" else ""
        what = f"{of} per {limit.per if isinstance(limit.per, str) else _length(limit.per)}{zone}"
    by = ", ".join(written(key, words) for key in limit.by)
    block = f" then block for {_length(limit.block_for)}" if limit.block_for else ""
    alert = f" alert at {limit.alert_at}%" if limit.alert_at else ""
    block = " then alert" if limit.advisory else block
    failing = " on failure allow" if limit.fails_open else ""
    ceiling, floor = written(limit.ceiling, words), ""
    if limit.share and limit.per is not None:
        over = timedelta(seconds=limit.over * periods.length(limit.per))
        ceiling, floor = f"{limit.share}% of the average over {duration_text(over)}", f" at least {ceiling}"
    return f"at most {ceiling} {what} by {by}{floor}{alert}{block}{failing}"


def _length(seconds: float) -> str:
    return duration_text(timedelta(seconds=seconds))
