"""Which requests a schema knows: which types of principals may do which actions to which types of resources."""

from __future__ import annotations

from policyengine.diagnostics import codes
from policyengine.model.decision import RuleError
from policyengine.schema.schema import Schema


def not_applicable(schema: Schema, principal: str, action: str, resource: str) -> RuleError | None:
    """Why no rule can apply to a request of this shape; None if the schema knows it."""
    if action not in schema.actions:
        return RuleError("", codes.UNKNOWN_ACTION.id, "the action is not declared")
    if resource not in schema.resources_of(action):
        return RuleError("", codes.WRONG_SCOPE.id, "the action does not apply to a resource of this type")
    if principal not in schema.principals_of(action):
        return RuleError("", codes.WRONG_SCOPE.id, "a principal of this type cannot ask for the action")
    return None
