"""Explains a decision: for everyone who must be allowed, what each rule about the action said.

In: policies and a request. Out: an Explanation, which is data, reads as a sentence (`why`) and as JSON (`as_json`).
Pure. Never raises for what a request holds.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

from policyengine.diagnostics.safe_text import visible
from policyengine.evaluate.combine import denied, intersect
from policyengine.evaluate.decide import decide_alone
from policyengine.evaluate.delegation import actors
from policyengine.evaluate.interpret import Env
from policyengine.evaluate.tool_arguments import refused_arguments
from policyengine.explain.display import decision_json
from policyengine.explain.trace import RuleTrace, ScopeCheck, Trace, trace, trace_rule
from policyengine.explain.trace_json import Room, rules_json
from policyengine.explain.why import because, rule_why
from policyengine.ir.nodes import And, PolicySet, Rule
from policyengine.model.decision import Decision, RuleError
from policyengine.model.entities import World
from policyengine.model.request import Request
from policyengine.model.values import Fault, Uid
from policyengine.schema.applicability import not_applicable
from policyengine.schema.schema import Schema

Role = Literal["principal", "agent"]

# The most rules that a sentence names, or the most things that kept one from holding.
_SHOWN = 2


@dataclass(frozen=True, slots=True)
class NearMiss:
    """A permit that did not hold, and what kept it: failed scope checks and failed conjuncts of its condition."""

    rule: Rule
    scope: tuple[ScopeCheck, ...]
    conjuncts: tuple[Trace, ...]

    @property
    def distance(self) -> tuple[bool, bool, int]:
        """A permit for another resource is farther away than one for another principal; both are farther away than any
        failed condition."""
        failed = {check.subject for check in self.scope}
        return "resource" in failed, "principal" in failed, len(self.conjuncts)

    @property
    def failed(self) -> tuple[str, ...]:
        return (
            *(visible(check.message) for check in self.scope),
            *(because(part, self.rule) for part in self.conjuncts),
        )

    @property
    def why(self) -> str:
        more = f", and {len(self.failed) - _SHOWN} more" if len(self.failed) > _SHOWN else ""
        return f"`{self.rule.name}`, but {', and '.join(self.failed[:_SHOWN])}{more}"

    def as_json(self) -> dict[str, Any]:
        return {"rule": self.rule.name, "why": self.why, "failed": list(self.failed)}


@dataclass(frozen=True, slots=True)
class ActorTrace:
    """One of those who must be allowed. `problem` says why no rule can apply to such a request; `closest` are the
    permits that came nearest, if none held and nothing else denied."""

    role: Role
    entity: Uid
    decision: Decision
    rules: tuple[RuleTrace, ...]
    closest: tuple[NearMiss, ...] = ()
    problem: RuleError | None = None

    @property
    def why(self) -> str:
        """The decision about this one, and what made it so."""
        said = visible(self.decision.summary)
        if self.problem is not None:
            return said
        decided = [one for one in self.rules if one.rule.name in self.decision.determining]
        if decided:
            return f"{said}: {'; '.join(rule_why(one) for one in decided[:_SHOWN])}"
        if self.decision.decision == "allow":
            return said
        if self.closest:
            return f"{said}; closest: {'; '.join(miss.why for miss in self.closest[:_SHOWN])}"
        return f"{said}: none is about this action"

    def as_json(self, room: Room | None = None) -> dict[str, Any]:
        rules = rules_json(self.rules, self.decision.determining, room)
        return {
            "role": self.role,
            "entity": {"type": self.entity.type, "id": self.entity.id},
            "decision": decision_json(self.decision),
            "why": self.why,
            "problem": self.problem.message if self.problem is not None else None,
            "rules": rules,
            **({"rules_total": len(self.rules)} if len(rules) < len(self.rules) else {}),
            "closest": [miss.as_json() for miss in self.closest],
        }


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision and how it came about. `actors` are the principal and then each agent that acts for it. For a
    malformed request it is empty, and there is no `request`."""

    decision: Decision
    request: Request | None = None
    actors: tuple[ActorTrace, ...] = ()

    @property
    def why(self) -> str:
        """The reason for the decision, in one line. It shows values of the request."""
        if len(self.actors) == 1:
            return self.actors[0].why
        said = visible(self.decision.summary)
        if self.decision.decision == "allow":
            return said
        denied_ones = [actor for actor in self.actors if actor.decision.decision == "deny"]
        return "; ".join(f"{a.role} `{visible(str(a.entity))}` is {a.why}" for a in denied_ones) or said

    def as_json(self, most: int | None = None) -> dict[str, Any]:
        """With `most`, conditions take at most that many characters; the rules that decided are shown first."""
        room = Room(most) if most is not None else None
        return {
            "decision": decision_json(self.decision),
            "why": self.why,
            "actors": [actor.as_json(room) for actor in self.actors],
        }


def explain(
    policies: PolicySet,
    schema: Schema,
    world: World,
    request: Request,
    approved: Collection[str] = (),
    revision: str = "",
) -> Explanation:
    """The decision that `decide` gives for the same arguments, explained."""
    try:
        requests = actors(request, world, schema)
    except Fault as fault:
        return unexplained(RuleError("", fault.code, fault.message), revision)
    first, *others = [Env(asked, world) for asked in requests]
    traces = (
        _actor("principal", policies, schema, first, approved, revision),
        *(_actor("agent", policies, schema, env, approved, revision) for env in others),
    )
    return Explanation(intersect([t.decision for t in traces]), request, traces)


def unexplained(error: RuleError, revision: str) -> Explanation:
    """The explanation of a malformed request."""
    return Explanation(denied(error, revision))


def _actor(
    role: Role,
    policies: PolicySet,
    schema: Schema,
    env: Env,
    approved: Collection[str],
    revision: str,
) -> ActorTrace:
    actor, action = env.request.principal.uid, env.request.action.name
    decision = decide_alone(policies, schema, env, approved, revision)
    problem = not_applicable(schema, *env.request.types)
    if problem is not None:
        return ActorTrace(role, actor, decision, (), (), problem)
    refused = refused_arguments(schema, env.world, env.request)
    every = sorted((*policies.rules, *policies.tried), key=lambda rule: rule.name)
    about = [rule for rule in every if rule.head.actions is None or action in rule.head.actions]
    rules = tuple(trace_rule(rule, env) for rule in about)
    closest = () if refused else _closest(decision, rules, env)
    return ActorTrace(role, actor, decision, rules, closest, refused[0] if refused else None)


def _closest(decision: Decision, rules: tuple[RuleTrace, ...], env: Env) -> tuple[NearMiss, ...]:
    """The permits with the fewest things against them, if a request was denied because no permit held."""
    if decision.decision == "allow" or decision.determining:
        return ()
    misses = [_miss(one, env) for one in rules if one.rule.kind == "permit" and not one.rule.tried]
    least = min((miss.distance for miss in misses), default=None)
    return tuple(miss for miss in misses if miss.distance == least)


def _miss(one: RuleTrace, env: Env) -> NearMiss:
    condition = one.rule.condition
    conjuncts = condition.items if isinstance(condition, And) else (condition,)
    if one.outcome == "not in scope" or one.condition is None:
        return NearMiss(one.rule, tuple(check for check in one.scope if not check.held), ())
    # A conjunct after a false one was never reached; evaluated alone, it still shows how far away the permit is.
    traces = [trace(item, env) for item in conjuncts]
    return NearMiss(one.rule, (), tuple(t for t in traces if not t.is_worth(True)))
