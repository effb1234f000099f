"""Types as a rule writes them: entity types in expressions, and the types of the parameters of a definition."""

from __future__ import annotations

from policyengine.check.environment import UNKNOWN, TypeEnv
from policyengine.diagnostics import codes
from policyengine.model.types import PRIMITIVES, ListT, SetT, Type, entity, unrefined
from policyengine.schema.declare import MAX_TYPE_DEPTH, nesting, unknown_type
from policyengine.schema.refinements import constant_type, union
from policyengine.syntax import ast


def visible_type(name: ast.Name, env: TypeEnv) -> bool:
    """Whether the module can see the entity type; reports a finding if it cannot."""
    declared = env.place.schema.entities.get(name.text)
    if declared is not None and declared.module in env.place.visible:
        return True
    env.place.findings.diagnostics.append(unknown_type(name, env.place.schema.entities, env.place.visible))
    return False


def param_type(tree: ast.TypeExpr, env: TypeEnv) -> Type:
    match tree:
        case ast.NamedType(name=name):
            if name in PRIMITIVES:
                return PRIMITIVES[name]
            named = env.place.schema.types.get(name)
            if named is not None and named.module in env.place.visible:
                return unrefined(named.type)
            return entity(name) if visible_type(ast.Name(text=name, span=tree.span), env) else UNKNOWN
        case ast.GenericType(name=name, argument=argument) if (
            name.text in ("Set", "List") and nesting(tree) <= MAX_TYPE_DEPTH
        ):
            element = param_type(argument, env)
            return SetT(element) if name.text == "Set" else ListT(element)
        case ast.EntityType(name=quoted):
            return entity(quoted.text) if visible_type(quoted, env) else UNKNOWN
        case ast.LiteralType() | ast.UnionType():
            members = tree.members if isinstance(tree, ast.UnionType) else (tree,)
            types = [constant_type(m.value) if isinstance(m, ast.LiteralType) else param_type(m, env) for m in members]
            return UNKNOWN if UNKNOWN in types else unrefined(union(types))
    env.place.findings.report(
        codes.WRONG_TYPE, tree.span, "a parameter needs a named type", "", "pass the fields instead"
    )
    return UNKNOWN
