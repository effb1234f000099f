"""`test` statements: tree to plain values and an expectation."""

from __future__ import annotations

from typing import Any

from policyengine.check.environment import Env, Place
from policyengine.check.written_types import visible_type
from policyengine.diagnostics import codes
from policyengine.diagnostics.suggest import did_you_mean, one_of
from policyengine.ir.nodes import TestCase
from policyengine.model.refined import problems
from policyengine.schema.constants import constant_record
from policyengine.schema.schema import CALL, TOOL
from policyengine.syntax import ast


def check_test(tree: ast.Test, place: Place, rules: frozenset[str]) -> TestCase | None:
    """The test as plain values; None, with a finding, where something it needs is missing. `rules` names every rule."""
    report = place.findings.report
    givens = [item for item in tree.items if isinstance(item, ast.Given)]
    asks = [item for item in tree.items if isinstance(item, ast.Ask)]
    expects = [item for item in tree.items if isinstance(item, ast.Expect)]
    principals = [g for g in givens if g.name.text == "principal"]
    for what, example, found in (
        ("principal", 'principal User::"ann" { ... }', principals),
        ("request", 'retrieve on Document::"d1" { ... }', asks),
        ("decision", "expect allow by RULE", expects),
    ):
        if not found:
            report(codes.BAD_TEST, tree.name.span, f"a test needs a {what}", "", f"such as `{example}`")
            return None
        if len(found) > 1:
            report(codes.BAD_TEST, found[1].span, f"a test has only one {what}", "", "write a second test")
            return None
    context: dict[str, Any] = {}
    entities: list[dict[str, Any]] = []
    for given in givens:
        _given(given, context, entities, place)
    principal = principals[0].value
    if not isinstance(principal, ast.EntityValue):
        report(
            codes.BAD_TEST, principals[0].span, "the principal is an entity", "", 'write `principal User::"id" {...}`'
        )
        return None
    ask = asks[0]
    action = constant_record(ask.attributes, place.findings.diagnostics)
    if ask.action.text not in place.schema.actions:
        known = place.schema.actions
        report(
            codes.UNKNOWN_ACTION,
            ask.action.span,
            f"unknown action `{ask.action.text}`",
            "",
            did_you_mean(ask.action.text, known),
        )
    expect = expects[0]
    if expect.decision == "allow":
        _check_arguments(ask, place)
    return TestCase(
        name=str(tree.name.value),
        module=place.module,
        principal=_entity(principal, place),
        action={**action, "name": ask.action.text},
        resource=_entity(ask.resource, place),
        context=context,
        entities=tuple(entities),
        decision=expect.decision,
        rules=_rules(expect.rules, place, rules),
        obligations=_owing(expect.obligations, place) if expect.obligations is not None else None,
        span=tree.span,
        approved=_approved(tree, place, rules),
    )


def _check_arguments(ask: ast.Ask, place: Place) -> None:
    """A call that its tool does not take is never allowed."""
    resource = ask.resource.entity
    tool = place.schema.tools.get(resource.id.text) if resource.type.text == TOOL else None
    if ask.action.text != CALL or tool is None:
        return
    stated = constant_record(ask.resource.attributes, [])
    for problem in problems(stated.get("args", {}), tool.args, ""):
        place.findings.report(
            codes.ARGUMENTS, ask.resource.span, problem, f"as `{tool.name}` declares it", "such a call is always denied"
        )
        return


def _approved(tree: ast.Test, place: Place, rules: frozenset[str]) -> tuple[str, ...]:
    names = tuple(n for item in tree.items if isinstance(item, ast.Approved) for n in item.rules)
    return _rules(names, place, rules) or ()


def _given(given: ast.Given, context: dict[str, Any], entities: list[dict[str, Any]], place: Place) -> None:
    name, value = given.name.text, given.value
    if name == "principal":
        return
    if name == "entity":
        if isinstance(value, ast.EntityValue):
            entities.append(_entity(value, place))
        return
    plain = (
        _entity(value, place)
        if isinstance(value, ast.EntityValue)
        else constant_record(value, place.findings.diagnostics)
    )
    if name == "context":
        context.update(plain)
        return
    if place.context.get(name) is None:
        known = [n for n, _ in place.context.fields]
        help_ = did_you_mean(name, [*known, "principal", "context", "entity"]) or f"known: {one_of(known)}"
        place.findings.report(codes.UNKNOWN_NAME, given.name.span, f"unknown context root `{name}`", "", help_)
    context[name] = plain


def _entity(value: ast.EntityValue, place: Place) -> dict[str, Any]:
    env = Env(place)
    visible_type(value.entity.type, env)
    plain: dict[str, Any] = {"type": value.entity.type.text, "id": value.entity.id.text}
    attributes = constant_record(value.attributes, place.findings.diagnostics)
    for entry in value.attributes.entries if value.attributes is not None else ():
        if entry.key.text in plain:
            place.findings.report(codes.RESERVED, entry.key.span, f"`{entry.key.text}` is part of the entity's name")
    if value.parents:
        for parent in value.parents:
            visible_type(parent.type, env)
        plain["parents"] = [{"type": p.type.text, "id": p.id.text} for p in value.parents]
    return {**attributes, **plain}


def _owing(names: tuple[ast.Name, ...], place: Place) -> tuple[str, ...]:
    known = place.schema.obligations
    for name in names:
        if name.text not in known:
            help_ = did_you_mean(name.text, known) or f"known: {one_of(known)}"
            message = f"unknown obligation `{name.text}`"
            place.findings.report(codes.UNKNOWN_OBLIGATION, name.span, message, "", help_)
    return tuple(name.text for name in names)


def _rules(names: tuple[ast.Name, ...] | None, place: Place, rules: frozenset[str]) -> tuple[str, ...] | None:
    if names is None:
        return None
    found = []
    for name in names:
        local = f"{place.module}.{name.text}"
        full = local if local in rules else name.text
        if full not in rules:
            mine = [r.removeprefix(f"{place.module}.") for r in rules]
            help_ = did_you_mean(name.text, mine) or f"known: {one_of(mine)}" if mine else ""
            place.findings.report(codes.UNKNOWN_RULE, name.span, f"unknown rule `{name.text}`", "", help_)
        found.append(full)
    return tuple(sorted(found))
