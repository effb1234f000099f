"""The meters to which a request is charged, and the amounts, from the limits that its decision names.

Pure. A missing key, an amount without an estimate and a ceiling that is not a number are errors of the limit, and the
limit then denies. With delegation a meter is charged once: the largest of the amounts, under the lowest of the
ceilings.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from policyengine.diagnostics import codes
from policyengine.evaluate.decide import holds, rule_error
from policyengine.evaluate.interpret import Env, EvaluationError, evaluate
from policyengine.ir.nodes import Expr, LimitSpec
from policyengine.model.decision import RuleError
from policyengine.model.entities import World
from policyengine.model.request import Request, request
from policyengine.model.values import Fault, to_json
from policyengine.state import amounts
from policyengine.state.amounts import MICRO
from policyengine.state.operations import MAX_CHARGES, Charge
from policyengine.state.shard_places import place
from policyengine.state.stateful_rules import LimitRule
from policyengine.state.windows import SECOND, Concurrent, Window, calendar, mean_length, sliding


class RawRequest(Struct, frozen=True, gc=False):
    """A request as it came. It is evaluated as a whole only once its real cost is known."""

    principal: Any
    action: Any
    resource: Any
    context: Any
    world: World

    def env(self) -> Env:
        return Env(request(self.principal, self.action, self.resource, self.context), self.world)


class Metered(Struct, frozen=True, gc=False):
    """A charge, and the values it is computed from: when the real cost is known, the amount is computed again."""

    charge: Charge
    limit: LimitRule
    seen: Env | RawRequest

    @property
    def env(self) -> Env:
        return self.seen if isinstance(self.seen, Env) else self.seen.env()


class Charges(Struct, frozen=True, gc=False):
    """The charges of a request, one for each meter; `errors` are those of limits that could not be evaluated."""

    metered: tuple[Metered, ...]
    errors: tuple[RuleError, ...] = ()


def charges(limits: Sequence[LimitRule], envs: Sequence[Env], now: int) -> Charges:
    """The charges of the limits. `envs` are those of the principal and of each agent that acts for it; `now` is the
    host's time, in microseconds, which only determines calendar periods."""
    metered: dict[str, Metered] = {}
    errors: list[RuleError] = []
    for env in envs:
        for limit in limits:
            rule = limit.rule
            try:
                if len(envs) > 1 and not holds(rule, env):
                    continue
                charge = _charge(limit, env, now)
            except EvaluationError as error:
                errors.append(rule_error(rule, error))
                continue
            except Fault as fault:
                errors.append(RuleError(rule.name, fault.code, fault.message, str(rule.span)))
                continue
            earlier = metered.get(charge.meter)
            metered[charge.meter] = Metered(_strictest(charge, earlier), limit, env)
    if len(metered) > MAX_CHARGES:
        errors.append(RuleError("", codes.MALFORMED.id, f"more than {MAX_CHARGES} limits apply to one request"))
    return Charges(tuple(metered.values()), tuple(errors))


def _charge(limit: LimitRule, env: Env, now: int) -> Charge:
    spec = limit.spec
    meter, by = key_of(limit, [to_json(evaluate(key, env)) for key in spec.by])
    return Charge(
        meter=meter,
        rule=limit.rule.name,
        by=by,
        window=window(spec, now),
        ceiling=amounts.ceiling(evaluate(spec.ceiling, env)),
        amount=_amount(spec.of, env),
        block_for=round(spec.block_for * SECOND),
        advisory=spec.advisory,
        share=share_of(spec),
    )


def key_of(limit: LimitRule, read: Sequence[Any]) -> tuple[str, tuple[str, ...]]:
    """The meter's key, and the values that its limit counts by, from the values of its keys. A limit that counts by
    tenant is kept at the tenant's place."""
    by = tuple(map(_text, read))
    digest = sha256(_text(by).encode()).hexdigest()[:32]
    if limit.tenant is not None:
        value = read[limit.tenant]
        digest = place(value["id"] if isinstance(value, Mapping) else str(value)) + digest[4:]
    labelled = tuple([f"{label}={text}" for label, text in zip(limit.labels, by, strict=True)])
    return f"{limit.identity}:{digest}", labelled


def share_of(spec: LimitSpec) -> tuple[int, int, int] | None:
    """The share of a limit: percent of the average, the number of periods, and their length."""
    return (spec.share, spec.over, mean_length(spec.per)) if spec.share and spec.per is not None else None


def window(spec: LimitSpec, now: int) -> Window:
    """The window of a limit at this time."""
    if spec.per is None:
        return Concurrent()
    return calendar(spec.per, spec.zone, now) if isinstance(spec.per, str) else sliding(spec.per)


def real_amount(metered: Metered, cost: Mapping[str, Any]) -> int:
    """The real cost of the request for this meter. `cost` are the actual values, with the keys of `context.cost`; those
    that it does not mention stay as estimated. Raises EvaluationError or Fault as the estimate did."""
    env = metered.env
    asked = env.request
    context = {**asked.context, "cost": {**asked.context.get("cost", {}), **cost}}
    known = Request(asked.principal, asked.action, asked.resource, context)
    return _amount(metered.limit.spec.of, Env(known, env.world))


def _amount(of: Expr | None, env: Env) -> int:
    return MICRO if of is None else amounts.amount(evaluate(of, env))


def _strictest(charge: Charge, earlier: Metered | None) -> Charge:
    if earlier is None:
        return charge
    other = earlier.charge
    return replace(charge, amount=max(charge.amount, other.amount), ceiling=min(charge.ceiling, other.ceiling))


def _text(value: Any) -> str:
    """A unique text for a value: an entity by type and id."""
    return json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
