"""Rule heads: which requests a rule concerns, and which types its roots can have there."""

from __future__ import annotations

from dataclasses import dataclass

from policyengine.check.environment import UNKNOWN, Findings, Place, TypeEnv
from policyengine.check.written_types import visible_type
from policyengine.diagnostics import codes
from policyengine.diagnostics.suggest import did_you_mean, one_of
from policyengine.ir.nodes import Head, Scope
from policyengine.model.types import JSON, EntityT, RecordField, RecordT, Type, join, record, unrefined
from policyengine.model.values import Uid
from policyengine.schema.schema import Schema
from policyengine.syntax import ast

# What a tool returned is judged by this action, and is this in the context.
RECEIVE, RESULT = "receive", "result"


@dataclass(frozen=True, slots=True)
class CheckedHead:
    """The head, and the types that the roots have under it. No set is empty unless there was an error."""

    head: Head
    place: Place


def check_head(tree: ast.Head, base: Place) -> CheckedHead:
    """`base` is a place without its own types; the result carries the types that this head leaves possible."""
    schema, env = base.schema, TypeEnv(base)
    actions = _actions(tree, base)
    names = actions if actions is not None else frozenset(schema.actions)
    certain = len(names) == len(tree.actions) or actions is None
    resource = _scope(tree.resource, _union(schema.resources_of(a) for a in names), env)
    principal = _scope(tree.principal, _union(schema.principals_of(a) for a in names), env)
    if actions is not None and isinstance(tree.resource, ast.ScopeOf):
        _check_applies(tree, actions, resource, base)
    if tree.principal is not None and isinstance(tree.principal, ast.ScopeOf) and certain:
        _check_principals(tree.principal, names, principal, base)
    resource_types = resource.types or frozenset()
    place = Place(
        module=base.module,
        visible=base.visible,
        schema=schema,
        defines=base.defines,
        findings=base.findings,
        principal=_root_type(tree.principal, principal, certain),
        resource=_root_type(tree.resource, resource, certain),
        action=_action_type(names, schema) if certain else UNKNOWN,
        context=_context(base.context, names, resource, schema),
        alias=next(iter(resource_types)).lower() if len(resource_types) == 1 else None,
        tool_args=_tool_args(resource, schema),
        warn_absent=base.warn_absent,
    )
    return CheckedHead(Head(actions, resource, principal), place)


def _root_type(tree: ast.Scope | None, scope: Scope, certain: bool) -> Type:
    """The type of a root. It is unknown if the head has an error, so that the condition does not report it again."""
    types = scope.types or frozenset()
    if isinstance(tree, ast.ScopeOf):
        written = {item.type.text if isinstance(item, ast.EntityLit) else item.text for item in tree.items}
        return EntityT(types) if types == written else UNKNOWN
    return EntityT(types) if certain else UNKNOWN


def open_place(module: str, visible: frozenset[str], schema: Schema, defines: object, findings: Findings) -> Place:
    """A place about which nothing is known: every type is possible."""
    everything = EntityT(schema.every_type())
    return Place(
        module=module, visible=visible, schema=schema, defines=defines, findings=findings,  # type: ignore[arg-type]
        principal=everything, resource=everything, action=_action_type(frozenset(schema.actions), schema),
        context=schema.context_type(visible), open=True,
    )  # fmt: skip


def _actions(tree: ast.Head, place: Place) -> frozenset[str] | None:
    if not tree.actions:
        return None
    known = {n: a for n, a in place.schema.actions.items() if a.modules & place.visible}
    for name in tree.actions:
        if name.text not in known:
            hidden = place.schema.actions.get(name.text)
            help_ = did_you_mean(name.text, known) or (
                f"known: {one_of(known)}" if known else "declare it: `action ...`"
            )
            if hidden is not None:
                help_ = f"add `use {sorted(hidden.modules)[0]}`"
            place.findings.report(codes.UNKNOWN_ACTION, name.span, f"unknown action `{name.text}`", "", help_)
    return frozenset(n.text for n in tree.actions if n.text in known)


def _scope(tree: ast.Scope | None, possible: frozenset[str], env: TypeEnv) -> Scope:
    if not isinstance(tree, ast.ScopeOf):
        return Scope(types=possible, span=tree.span if tree is not None else None)
    types: set[str] = set()
    entities: set[Uid] = set()
    for item in tree.items:
        name = item.type if isinstance(item, ast.EntityLit) else item
        if visible_type(name, env):
            types.add(name.text)
        if isinstance(item, ast.EntityLit):
            entities.add(Uid(item.type.text, item.id.text))
            _check_known_tool(item, env)
    mixed = entities and any(isinstance(item, ast.Name) for item in tree.items)
    if mixed:
        env.place.findings.report(
            codes.WRONG_SCOPE, tree.span, "a list cannot mix types and entities", "", "write two rules"
        )
    within = frozenset(Uid(e.type.text, e.id.text) for e in tree.within)
    for target in tree.within:
        if visible_type(target.type, env):
            _check_below(types, target, env)
    return Scope(
        types=frozenset(types),
        entities=frozenset(entities) if entities and not mixed else None,
        within=within or None,
        span=tree.span,
    )


def _check_known_tool(item: ast.EntityLit, env: TypeEnv) -> None:
    """An undeclared tool may well exist, but a name that is almost that of a declared tool is a slip."""
    tools = env.place.schema.tools
    if item.type.text != "Tool" or item.id.text in tools:
        return
    help_ = did_you_mean(item.id.text, tools)
    if help_:
        env.place.findings.report(
            codes.UNDECLARED_TOOL, item.id.span, f"tool `{item.id.text}` is not declared", "", help_
        )


def _check_below(types: set[str], target: ast.EntityLit, env: TypeEnv) -> None:
    schema = env.place.schema
    for name in sorted(types & schema.entities.keys()):
        if name != target.type.text and target.type.text not in schema.ancestors_of(name):
            env.place.findings.report(
                codes.NOT_IN_HIERARCHY, target.span, f"{name} is never in {target.type.text}", "",
                f"declare it: `extend {name} in {target.type.text}`",
            )  # fmt: skip


def _check_applies(tree: ast.Head, actions: frozenset[str], resource: Scope, place: Place) -> None:
    for action in tree.actions:
        if action.text not in actions:
            continue
        possible = place.schema.resources_of(action.text)
        wrong = sorted((resource.types or frozenset()) - possible)
        if wrong:
            place.findings.report(
                codes.WRONG_SCOPE, tree.resource.span, f"action `{action.text}` does not apply to {one_of(wrong)}", "",
                f"it applies to {one_of(possible)}; declare more with `action {action.text} on {wrong[0]}`",
            )  # fmt: skip


def _check_principals(tree: ast.ScopeOf, actions: frozenset[str], principal: Scope, place: Place) -> None:
    possible = _union(place.schema.principals_of(a) for a in actions)
    wrong = sorted((principal.types or frozenset()) - possible)
    if wrong:
        place.findings.report(
            codes.WRONG_SCOPE, tree.span, f"{one_of(wrong)} cannot be the principal of {one_of(actions)}", "",
            f"principals are {one_of(possible)}",
        )  # fmt: skip


def _action_type(names: frozenset[str], schema: Schema) -> RecordT:
    """The attributes of the actions; those that only some actions have are optional."""
    merged: RecordT | None = None
    for name in sorted(names):
        one = record(dict(schema.actions[name].attributes))
        if merged is None:
            merged = one
        else:
            joined = join(merged, one)
            merged = joined if isinstance(joined, RecordT) else merged
    return merged or record({})


def _tool_args(resource: Scope, schema: Schema) -> RecordT | None:
    """The typed arguments, if the rule is about declared tools only."""
    if resource.entities is None or any(u.type != "Tool" or u.id not in schema.tools for u in resource.entities):
        return None
    merged: RecordT | None = None
    for uid in sorted(resource.entities):
        args = schema.tools[uid.id].args
        joined = args if merged is None else join(merged, args)
        merged = (
            joined
            if isinstance(joined, RecordT)
            else record({n: RecordField(JSON, True) for n, _ in args.fields}, args.open)
        )
    return merged


def _context(context: RecordT, actions: frozenset[str], resource: Scope, schema: Schema) -> RecordT:
    """The context. What a tool returned has its declared type if the rule is about such tools only."""
    if actions != {RECEIVE} or context.get(RESULT) is None or resource.entities is None:
        return context
    returned = [schema.tools[u.id].returns for u in sorted(resource.entities) if u.id in schema.tools]
    if len(returned) != len(resource.entities) or any(one is None for one in returned):
        return context
    type_: Type | None = None
    for one in returned:
        if one is not None:
            type_ = unrefined(one.type) if type_ is None else join(type_, unrefined(one.type)) or JSON
    return record({**dict(context.fields), RESULT: RecordField(type_ or JSON)}, context.open)


def _union(sets: object) -> frozenset[str]:
    return frozenset().union(*sets)  # type: ignore[misc]
