"""What to report for a name without a meaning at its place."""

from __future__ import annotations

from dataclasses import replace

from policyengine.check.environment import MAX_DEPTH, Place, TypeEnv
from policyengine.diagnostics import codes
from policyengine.diagnostics.source import Span
from policyengine.diagnostics.suggest import did_you_mean, one_of
from policyengine.ir.nodes import Expr, Local
from policyengine.model.types import EntityT, RecordT, Type
from policyengine.syntax import ast

ROOTS = ("principal", "action", "resource", "context")
# The names that other policy languages give to the roots of a request.
_ELSEWHERE = {"subject": "principal", "request": "context", "input": "context", "env": "context", "object": "resource"}
_CONSTANTS = ("true", "false", "null")


def unknown_name(tree: ast.Ref, type_name: str | None, env: TypeEnv) -> None:
    """Reports an undeclared name. `type_name` is the entity type that reads like it, if there is one."""
    env.place.findings.report(
        codes.UNKNOWN_NAME, tree.span, f"unknown name `{tree.name}`", "", _help(tree.name, type_name, env)
    )


def _help(name: str, type_name: str | None, env: TypeEnv) -> str:
    place = env.place
    if type_name is not None and isinstance(place.principal, EntityT) and type_name in place.principal.names:
        return "write `principal` for the one who asks"
    if type_name is not None and isinstance(place.resource, EntityT) and type_name in place.resource.names:
        return f"`{name}` names the resource only in a rule on `{type_name}` alone; write `resource`"
    if type_name is not None and isinstance(place.resource, EntityT):
        return f"this rule is on {one_of(place.resource.names)}, not on `{type_name}`"
    if name in _ELSEWHERE:
        return f"a request has the roots {one_of(ROOTS)}; for `{name}`, write `{_ELSEWHERE[name]}`"
    context = [n for n, _ in place.context.fields]
    known = [*env.locals, *ROOTS, *context, *place.defines, *_CONSTANTS, *([place.alias] if place.alias else [])]
    near = did_you_mean(name, known)
    hidden = place.schema.context.get(name)
    if hidden is not None:
        return f"add `use {hidden.module}`"
    return near or _where_it_is(name, place)


def _where_it_is(name: str, place: Place) -> str:
    """An attribute of that name on something that can be named."""
    roots: list[tuple[str, Type]] = [(n, f.type) for n, f in place.context.fields]
    for root, type_ in [(place.alias or "resource", place.resource), ("principal", place.principal), *roots]:
        if isinstance(type_, EntityT) and place.schema.declaring(type_.names, name):
            return f"did you mean `{root}.{name}`?"
        if isinstance(type_, RecordT) and type_.get(name) is not None:
            return f"did you mean `{root}.{name}`?"
    return ""


def too_deep(tree: ast.HasOp, env: TypeEnv) -> bool:
    """Whether `has` asks for too many names, each below the one before it; reports a finding if it does."""
    depth, base = env.depth + len(tree.path), tree.base
    while isinstance(base, ast.Member):
        depth, base = depth + 1, base.base
    if depth > MAX_DEPTH:
        env.place.findings.report(
            codes.TOO_DEEP, tree.span, f"nested deeper than {MAX_DEPTH}", "", "test fewer names at once"
        )
    return depth > MAX_DEPTH


def read_here(bound: Expr, span: Span) -> Expr:
    """The meaning of a name: a variable, at the place that reads it, or an argument, where it was written, as an
    explanation names it."""
    return replace(bound, span=span) if isinstance(bound, Local) else bound
