"""The fast PDP: generated functions behind an index, equal to `decide` in every answer.

A request takes one of two ways. Well-formed ones run generated code, which yields bit masks that look up a decision
made once; this includes agents, actions with attributes and approvals. If that code raises, its careful twin finds out
which rules erred, and the interpreter says why."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any

from policyengine.compile.actors import Actors
from policyengine.compile.approvals_and_meters import approvals, approvals_of, limits_of, meters
from policyengine.compile.bucket import Bucket
from policyengine.compile.call_site import CallSite
from policyengine.compile.compile_on_demand import OneAtATime, need
from policyengine.compile.derived_decisions import Derived
from policyengine.compile.index import Index, RulePlan
from policyengine.compile.intake import Entry
from policyengine.compile.mention_check import MentionCheck, look, read_through
from policyengine.compile.native import NATIVE, Decider, with_shortcut
from policyengine.compile.quantifier_counts import QuantifierCounts
from policyengine.compile.runtime import NOTHING, Unusual
from policyengine.compile.vetted_names import VettedNames
from policyengine.evaluate.combine import denied, intersect
from policyengine.evaluate.decide import decide_alone
from policyengine.evaluate.delegation import actors
from policyengine.evaluate.interpret import Env
from policyengine.ir.nodes import PolicySet
from policyengine.model.decision import Decision, RuleError
from policyengine.model.entities import World
from policyengine.model.request import Request, request
from policyengine.model.values import Fault
from policyengine.schema.applicability import not_applicable
from policyengine.schema.members import delegators
from policyengine.schema.mentions import Mentions
from policyengine.schema.misspelt_names import REQUEST, check_keys
from policyengine.schema.schema import Schema

# The collections of approvals that the fast way accepts.
COLLECTIONS = (list, tuple, set, frozenset)


# How many decisions are remembered for callers that meter.
METERED = 4_096


class Evaluator(Decider):
    """Decides requests under one policy set. Never changes, except for what it remembers; safe from any thread."""

    def __init__(
        self,
        policies: PolicySet,
        schema: Schema,
        world: World,
        revision: str = "",
        native: ModuleType | None = NATIVE,
    ) -> None:
        self._schema = schema
        self._world = world
        self._revision = revision
        self._native = native
        self._derived = Derived()
        # The most that decisions may visit, as far as rules were evaluated.
        self.quantifier_counts = QuantifierCounts()
        # The names in requests that need no check.
        self.vetted_names = VettedNames(schema)
        self._policies = policies
        self._index = Index((*policies.rules, *policies.tried), schema)
        # What callers may claim to have verified: the approvals, and the limits.
        self.approvals, self.limits = approvals_of(policies.rules), limits_of(policies.rules)
        self._each = {name: frozenset({name}) for name in self.approvals}
        # A plain dict: a lookup in a cache that evicts entries one by one would take as long as a decision.
        self._metered: dict[int, tuple[Decision, Decision]] = {}
        self._looks: dict[tuple[str, str], MentionCheck] = {}
        self._making = OneAtATime()
        self._buckets: dict[tuple[str, str, str], Bucket] = {}
        # By action, resource type and principal type. Types that were not asked about yet are missing.
        self.entries: dict[str, dict[str, dict[str, Entry]]] = {}
        if native is not None:
            self._go_by(self.entries, self._each, NOTHING, self.decide_slowly)

    @with_shortcut(positional=True)
    def decide(
        self, principal: Any, action: Any, resource: Any, context: Any = None, approved: Collection[str] = ()
    ) -> Decision:
        """The decision, as `evaluate.decide` gives it. Never raises because of a request's content."""
        try:
            name = action if type(action) is str else named(action)
            entry = self.entries[name][resource["type"]][principal["type"]]
            if name is action and not approved:
                return entry(principal, resource, context)
            return entry(principal, resource, context, NOTHING if name is action else action, _names(approved))
        except Exception:  # noqa: BLE001 - whatever it is, the slow path decides
            return self.decide_slowly(principal, action, resource, context, approved)

    @property
    def _is_replaced(self) -> bool:
        """Whether `decide` has been replaced, by a subclass or on this object; then the replacement is to be called."""
        return type(self).decide is not Evaluator.decide or "decide" in self.__dict__

    @property
    def direct_entries(self) -> dict[str, dict[str, dict[str, Entry]]]:
        """The entries, for callers that ask them directly instead of calling `decide`."""
        return {} if self._is_replaced else self.entries

    @property
    def slowly(self) -> Callable[..., Decision]:
        """What decides if there is no entry, or the entry raises."""
        return self.decide if self._is_replaced else self.decide_slowly

    def shortcuts(self, decider: Decider) -> None:
        """Makes the shortcuts of a decider lead to this evaluator."""
        decider._go_by(self.direct_entries, self._each, NOTHING, self.slowly)

    def decide_many(self, requests: Iterable[Any]) -> list[Decision]:
        """The decisions about mappings with the keywords of `Engine.decide`. Never raises because of their content.
        Raises TypeError for an `approved` or `metered` that names anything but rules of its kind."""
        decisions: list[Decision] = []
        decide, add = self.decide, decisions.append
        # An iterable may raise while it makes the requests: that must not be taken for a denial.
        for item in list(requests):
            size = len(item) if type(item) is dict else 0
            # If this many known keys are present there can be no others: this quick test accepts most requests.
            approves = size == 5 and "context" in item and "approved" in item
            if size == 3 or (size == 4 and "context" in item) or approves:
                given = self.approved(item["approved"]) if approves else ()
                try:
                    principal, action, resource = item["principal"], item["action"], item["resource"]
                except Exception:  # noqa: BLE001 - an error in one of its keys must not look like a denial
                    pass
                else:
                    context = item.get("context")
                    if given:
                        add(decide(principal, action, resource, context, given))
                    else:
                        add(decide(principal, action, resource, context))
                    continue
            add(self._one_of_many(item))
        return decisions

    def prepare(self, earlier: Evaluator) -> None:
        """Makes the code for everything that the earlier evaluator was asked about, so that no request has to wait for
        it. Changes no answer."""
        for principal, action, resource in list(earlier._buckets):
            if self._is_declared(principal, action, resource):
                # The first call makes the careful functions, the second the fast ones.
                for _ in range(2):
                    self.decide({"type": principal, "id": ""}, action, {"type": resource, "id": ""})
                self._buckets[principal, action, resource].prepare_like(earlier._buckets[principal, action, resource])

    def decide_slowly(
        self, principal: Any, action: Any, resource: Any, context: Any = None, approved: Collection[str] = ()
    ) -> Decision:
        """The decision without the shortcut. Afterwards the shortcut exists."""
        try:
            plain = request(principal, action, resource, context)
            mentioned = Mentions(plain, self._schema)
            everyone = actors(plain, self._world, self._schema, mentioned)
            self.vetted_names.learn(plain, mentioned)
        except Fault as fault:
            return denied(RuleError("", fault.code, fault.message), self._revision)
        if everyone[0] is not plain and not everyone[0].contradicts:
            known = self._decide_united(everyone, approved)
            if known is not None:
                return known
        return intersect([self._decide_for(asked, approved) for asked in everyone])

    def met(self, approved: Any, metered: Any) -> frozenset[str]:
        """The rules whose demand is met: approvals that the caller has verified, limits that it meters. Raises
        TypeError."""
        return self.approved(approved) | meters(metered, self.limits)

    def approved(self, given: Any) -> frozenset[str]:
        """The approvals that the caller has verified. Raises TypeError."""
        # Most callers with approvals have exactly one.
        if type(given) is list and len(given) == 1 and type(given[0]) is str:
            one = self._each.get(given[0])
            if one is not None:
                return one
        return approvals(given, self.approvals)

    def decide_met(self, principal: Any, action: Any, resource: Any, context: Any, met: frozenset[str]) -> Decision:
        """The decision if the demands of these rules are met."""
        return with_meters(self.decide(principal, action, resource, context, met & self.approvals), met)

    def decide_metered(self, principal: Any, action: Any, resource: Any, context: Any) -> Decision:
        """The decision for a caller that meters every limit."""
        decision = self.decide(principal, action, resource, context)
        if not decision.limits:
            return decision
        # By identity: decisions are shared, and the dict keeps each of its keys alive, so that no id is used again.
        known = self._metered.get(id(decision))
        if known is None or known[0] is not decision:
            if len(self._metered) >= METERED:
                self._metered.clear()
            known = self._metered[id(decision)] = (decision, with_meters(decision, self.limits))
        return known[1]

    def _one_of_many(self, item: Any) -> Decision:
        """The decision about one of many requests that has more keys than most, has no code yet, or is not a plain
        object. Raises TypeError."""
        if not isinstance(item, Mapping):
            return self.decide(None, None, None)
        approved, metered = self.approved(item.get("approved")), meters(item.get("metered"), self.limits)
        try:
            if not item.keys() <= REQUEST:
                check_keys(item)
        except Fault as fault:
            return denied(RuleError("", fault.code, fault.message), self._revision)
        principal, action, resource = item.get("principal"), item.get("action"), item.get("resource")
        return with_meters(self.decide(principal, action, resource, item.get("context"), approved), metered)

    def _decide_united(self, everyone: Sequence[Request], approved: Collection[str]) -> Decision | None:
        """The decision about a request in which mentions of an entity were merged; None if there is no code for it
        yet."""
        decisions: list[Decision] = []
        try:
            names = _names(approved)
            for asked in everyone:
                principal, action, resource = asked.principal, asked.action, asked.resource
                entry = self.entries[action.name][resource.uid.type][principal.uid.type]
                parts = principal.attributes, resource.attributes, asked.context, action.attributes
                decisions.append(entry(*parts, names, True))
        except Exception:  # noqa: BLE001 - whatever it is, the slow path decides
            return None
        return decisions[0] if len(decisions) == 1 else self._derived.join(tuple(decisions))

    def _decide_for(self, request: Request, approved: Collection[str]) -> Decision:
        if request.contradicts:
            # Only the interpreter can tell a contradiction from what the request says.
            env = Env(request, self._world)
            return decide_alone(self._policies, self._schema, env, approved, self._revision)
        key = request.types
        bucket = self._buckets.get(key)
        if bucket is None:
            problem = not_applicable(self._schema, *key)
            refusal = None if problem is None else denied(problem, self._revision)
            if refusal is not None and not self._is_declared(*key):
                # Nothing is remembered: callers could make up names without end.
                return refusal
            need((self, key), lambda: self._bucket_for(key, refusal).prepare())
            bucket = self._bucket_for(key, refusal)
        return bucket.settle(request, approved)

    def _bucket_for(self, key: tuple[str, str, str], refusal: Decision | None) -> Bucket:
        """The bucket, made once even if several threads need it."""
        with self._making:
            bucket = self._buckets.get(key)
            if bucket is None:
                bucket = self._buckets[key] = self._bucket(*key, refusal)
            return bucket

    def is_single(self, principal: Any, action: Any, resource: Any, context: Any) -> bool:
        """Whether a request whose shape is known mentions no entity twice, so that it can be used as it is."""
        name = action if type(action) is str else named(action)
        return self._look(name, resource["type"]).single(principal, resource, context, {})

    def read_through(self, action: str, resource: str) -> frozenset[str]:
        """The types of entity other than principal and resource of which rules read more than the identity."""
        return self._look(action, resource).through

    def _look(self, action: str, resource: str) -> MentionCheck:
        known = self._looks.get((action, resource))
        if known is None:
            through = read_through(self._index.about(action, resource))
            known = look(self._schema, self.vetted_names, action, through)
            if self._is_declared(resource, action, resource):
                self._looks[action, resource] = known
        return known

    def _is_declared(self, principal: str, action: str, resource: str) -> bool:
        return action in self._schema.actions and {principal, resource} <= self._schema.entities.keys()

    def _bucket(self, principal: str, action: str, resource: str, refusal: Decision | None) -> Bucket:
        by_type = self.entries.setdefault(action, {}).setdefault(resource, {})
        looks = self._look(action, resource)
        everyone = Actors(action, by_type, self._schema, self._world, self._derived, self.vetted_names, looks)
        delegates = delegators(principal, self._schema) is not None
        site = CallSite(principal, action, resource, frozenset(self._world.records), delegates)
        plan = self._index.plan(principal, action, resource) if refusal is None else RulePlan((), ())
        bucket = Bucket(plan, site, everyone, self._revision, self._native, refusal, self.quantifier_counts)
        by_type[principal] = bucket.entry
        return bucket


def named(action: Any) -> str:
    """The name in a plain object. Raises for anything else."""
    name = action["name"]
    if type(action) is not dict or type(name) is not str:
        raise Unusual
    return name


def with_meters(decision: Decision, metered: frozenset[str]) -> Decision:
    """The decision for a caller that meters the limits among these rules."""
    return replace(decision, metered=metered) if metered and decision.limits else decision


def _names(approved: Any) -> frozenset[str] | None:
    """Approvals as an entry takes them. Raises Unusual for anything but a plain collection."""
    if type(approved) not in COLLECTIONS:
        raise Unusual
    return frozenset(approved) or None
