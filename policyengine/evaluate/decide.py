"""The reference PDP: one request against every rule, by the interpreter, without an index or a shortcut.

Pure: the answer depends only on the arguments.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from policyengine.evaluate.combine import Properties, Verdicts, combine, denied, intersect
from policyengine.evaluate.delegation import actors
from policyengine.evaluate.interpret import Env, EvaluationError, evaluate, in_scope
from policyengine.evaluate.tool_arguments import refused_arguments
from policyengine.ir.nodes import ObligationSpec, PolicySet, Rule
from policyengine.model.decision import Decision, RuleError, listed_errors
from policyengine.model.entities import World
from policyengine.model.frozen import FrozenDict, frozen
from policyengine.model.request import Request
from policyengine.model.values import Fault, to_json
from policyengine.schema.applicability import not_applicable
from policyengine.schema.schema import Schema


def decide(
    policies: PolicySet,
    schema: Schema,
    world: World,
    request: Request,
    approved: Collection[str] = (),
    revision: str = "",
) -> Decision:
    """The decision about a request: for its principal, and for every agent that acts for it."""
    try:
        asked = actors(request, world, schema)
    except Fault as fault:
        return denied(RuleError("", fault.code, fault.message), revision)
    return intersect([decide_alone(policies, schema, Env(one, world), approved, revision) for one in asked])


def decide_alone(policies: PolicySet, schema: Schema, env: Env, approved: Collection[str], revision: str) -> Decision:
    """The decision about the principal alone, without the agents."""
    problem = not_applicable(schema, *env.request.types)
    if problem is not None:
        return denied(problem, revision)
    refused = refused_arguments(schema, env.world, env.request)
    in_force, tried = verdicts(policies.rules, env), verdicts(policies.tried, env)
    return combine(in_force, approved, properties_in(env), revision, refused, tried)


def verdicts(rules: Collection[Rule], env: Env) -> Verdicts:
    """The outcome of each rule for the request."""
    held, erred, errors = [], [], []
    for rule in rules:
        try:
            if holds(rule, env):
                held.append(rule)
        except EvaluationError as error:
            erred.append(rule)
            errors.append(rule_error(rule, error))
    return Verdicts(held, erred, listed_errors([(error.code, error.message) for error in errors], errors.__getitem__))


def holds(rule: Rule, env: Env) -> bool:
    """Whether the scope and the condition of the rule hold. Raises EvaluationError if either has no value."""
    return in_scope(rule.head, env) and bool(evaluate(rule.condition, env))


def rule_error(rule: Rule, error: EvaluationError) -> RuleError:
    return RuleError(rule.name, error.code, error.message, str(error.span or rule.span))


def properties_in(env: Env) -> Properties:
    """The properties of an obligation as plain JSON values."""

    def properties(rule: Rule, spec: ObligationSpec) -> tuple[Mapping[str, Any], list[RuleError]]:
        values: dict[str, Any] = {}
        errors = []
        for name, expr in spec.properties:
            try:
                values[name] = frozen(to_json(evaluate(expr, env)))
            except EvaluationError as error:
                errors.append(rule_error(rule, error))
        # Decisions are shared, so their content must not change.
        return FrozenDict(values), errors

    return properties
