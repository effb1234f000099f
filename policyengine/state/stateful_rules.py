"""The state that a snapshot's rules use: found once per snapshot, from the checked policies and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from hashlib import sha256
from typing import Any

from policyengine.bounded_cache import BoundedCache
from policyengine.events.sink import Nowhere, Sink
from policyengine.ir.footprint import expressions, footprint
from policyengine.ir.nodes import Attribute, Expr, Has, LimitSpec, Node, PolicySet, Root, Rule
from policyengine.ir.walk import children
from policyengine.ir.write import Unwritable, Words, written
from policyengine.state.prices import NO_PRICES, Prices
from policyengine.state.sessions import LIFE

SESSION = "session"
CALLS = "calls"
# How many sessions are remembered, in case the store loses them.
SESSIONS = 65_536
_NOWHERE = Nowhere()


@dataclass(frozen=True, slots=True)
class LimitRule:
    """A limit rule. `identity` distinguishes its meters from all others: it is made from its name, window, amount and
    keys, but not its ceiling, so that usage survives a change of the ceiling. `counts_cost` is whether its amount
    depends on `context.cost` alone; `tenant` is the index of the key that names the tenant. `labels` are its keys, in
    words."""

    rule: Rule
    spec: LimitSpec
    identity: str
    counts_cost: bool = False
    tenant: int | None = None
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Metering:
    """`limits` by name. `readers` are the rules that read the session. `plans` is what is known of sets of limits, by
    their names, and `ways` of decisions, by their identity; under None, of the last one. `prices` are the prices of
    tokens. `denials_owe` is whether any rule puts an obligation on a denial."""

    limits: Mapping[str, LimitRule]
    readers: tuple[Rule, ...]
    plans: dict[tuple[str, ...], Any] = field(default_factory=dict, compare=False)
    charging_plans: dict[int | None, Any] = field(default_factory=dict, compare=False)
    denials_owe: bool = False
    events: Sink = field(default_factory=Nowhere, compare=False)
    prices: Prices = field(default=NO_PRICES, compare=False)
    # The time before which sessions and approvals are void, in microseconds; and since when each session is known here.
    since: int = field(default=0, compare=False)
    # When the store was last known to have lost data.
    voided: int = field(default=0, compare=False)
    sessions: BoundedCache[str, int] = field(default_factory=lambda: BoundedCache(SESSIONS), compare=False)

    def opens(self, session: str, now: int) -> bool:
        """Whether a session that the store does not know may begin by being named. It may not if the store has lost it,
        which is possible for any session as long as earlier ones could be alive."""
        if now < self.voided + LIFE:
            return False
        known = self.sessions.get(session)
        if known is None:
            self.sessions[session] = known = self.since
        return bool(known >= self.since)

    @cached_property
    def alerting(self) -> bool:
        """Whether any limit sends alerts."""
        return any(limit.spec.alert_at or limit.spec.advisory or limit.spec.block_for for limit in self.limits.values())

    @cached_property
    def follows(self) -> bool:
        """Whether a grant or a denial may have consequences."""
        return self.alerting or self.denials_owe

    @cached_property
    def counts(self) -> bool:
        """Whether any rule reads the calls of the session."""
        return any(reads_calls(expr) for rule in self.readers for expr in expressions(rule))

    def reads_session(self, action: str, resource_type: str) -> bool:
        """Whether a rule that may apply to such a request reads the session. Errs on the safe side: one read too many
        costs a round trip, one too few would decide without knowledge."""
        return any(
            (rule.head.actions is None or action in rule.head.actions)
            and (rule.head.resource.types is None or resource_type in rule.head.resource.types)
            for rule in self.readers
        )


def restarted_limits(before: Metering, after: Metering) -> tuple[str, ...]:
    """The limits that start counting again, because their amount, window or keys have changed."""
    known = {name: limit.identity for name, limit in before.limits.items()}
    return tuple(
        sorted(name for name, limit in after.limits.items() if known.get(name, limit.identity) != limit.identity)
    )


def metering(
    policies: PolicySet,
    events: Sink = _NOWHERE,
    prices: Prices = NO_PRICES,
    since: int = 0,
    sessions: BoundedCache[str, int] | None = None,
    voided: int = 0,
) -> Metering:
    limits = {
        rule.name: _limit(rule, rule.limit)
        for rule in policies.rules
        if rule.kind == "limit" and rule.limit is not None
    }
    readers = tuple(rule for rule in policies.rules if footprint(rule).reads(SESSION))
    some_denials_owe = any(rule.kind == "require" and rule.on_deny for rule in policies.rules)
    known = sessions if sessions is not None else BoundedCache(SESSIONS)
    return Metering(
        limits,
        readers,
        denials_owe=some_denials_owe,
        events=events,
        prices=prices,
        since=since,
        sessions=known,
        voided=voided,
    )


def _limit(rule: Rule, spec: LimitSpec) -> LimitRule:
    meaning = repr((rule.name, spec.per, spec.zone, _meaning(spec.of), _meaning(spec.by)))
    identity = f"meter:{rule.name}:{sha256(meaning.encode()).hexdigest()[:16]}"
    tenants = [number for number, key in enumerate(spec.by) if _is_tenant(key)]
    only_cost = spec.of is not None and _only_cost(spec.of)
    return LimitRule(rule, spec, identity, only_cost, tenants[0] if tenants else None, tuple(map(_label, spec.by)))


def _label(key: Expr) -> str:
    try:
        return written(key, Words())
    except Unwritable:
        return "key"


def _is_tenant(key: Expr) -> bool:
    return (
        isinstance(key, Attribute)
        and key.name == "tenant"
        and isinstance(key.base, Root)
        and key.base.name in ("context", "principal")
    )


def _meaning(value: Any) -> Any:
    """The meaning of an expression, without places and types: a rule that moves, and a schema that grows, leave its
    meters unchanged. The same in every process: sets are sorted."""
    if isinstance(value, Node):
        said = (getattr(value, f.name) for f in fields(value) if f.name not in ("span", "type", "owners"))
        return (type(value).__name__, *map(_meaning, said))
    if isinstance(value, tuple):
        return tuple(map(_meaning, value))
    if isinstance(value, frozenset):
        return sorted(map(str, value))
    return value if value is None or isinstance(value, str | int | float) else str(value)


def reads_session(expr: Expr) -> bool:
    """Whether the expression reads the session, by itself or with the context as a whole."""
    if isinstance(expr, Attribute | Has) and isinstance(expr.base, Root) and expr.base.name == "context":
        return expr.name == SESSION
    if isinstance(expr, Root):
        return expr.name == "context"
    return any(map(reads_session, children(expr)))


def reads_calls(expr: Expr) -> bool:
    """Whether the expression reads more of the session than its labels."""
    if isinstance(expr, Attribute | Has) and reads_session(expr.base):
        return expr.name != "labels"
    if isinstance(expr, Attribute) and expr.name == SESSION and isinstance(expr.base, Root):
        return True
    return any(map(reads_calls, children(expr)))


def _only_cost(expr: Expr) -> bool:
    """Whether the expression reads nothing of the request except `context.cost`."""
    if isinstance(expr, Attribute | Has) and isinstance(expr.base, Root):
        return expr.base.name == "context" and expr.name == "cost"
    return not isinstance(expr, Root) and all(map(_only_cost, children(expr)))
