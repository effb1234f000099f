"""The fast PDP: generated functions behind an index, equal to `decide` in every answer.

A request takes one of three ways. Well-formed ones run generated code, which yields bit masks that look up a decision
made
once. Where that code stumbles, its careful twin finds out which rules erred, and the interpreter says why. What is no
proper request, or carries approvals, is left to the reference PDP as a whole.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from types import ModuleType
from typing import Any

from policyengine.compile.bucket import Bucket
from policyengine.compile.emit import Site
from policyengine.compile.index import Index
from policyengine.compile.intake import Entry
from policyengine.compile.native import NATIVE
from policyengine.compile.runtime import Unusual
from policyengine.evaluate.combine import denied, intersect
from policyengine.evaluate.decide import decide, not_applicable
from policyengine.evaluate.delegation import DELEGATED_BY, chain, delegates
from policyengine.ir.nodes import PolicySet
from policyengine.model.decision import Decision, RuleError
from policyengine.model.entities import World
from policyengine.model.request import Request, request
from policyengine.model.values import Entity, Fault
from policyengine.schema.schema import Schema

_NOTHING: Mapping[str, Any] = {}


class Evaluator:
    """Decides requests under one policy set. Never changes, but for what it remembers; safe from any thread."""

    def __init__(
        self,
        policies: PolicySet,
        schema: Schema,
        world: World,
        revision: str = "",
        native: ModuleType | None = NATIVE,
    ) -> None:
        self._policies = policies
        self._schema = schema
        self._world = world
        self._revision = revision
        self._native = native
        self._index = Index(policies.rules, schema)
        self._buckets: dict[tuple[str, str, str], Bucket] = {}
        # By action, resource type and principal type. What is not there has not been asked for yet.
        self.entries: dict[str, dict[str, dict[str, Entry]]] = {}

    def decide(self, principal: Any, action: Any, resource: Any, context: Any = None) -> Decision:
        """The decision, as `decide` gives it. Never raises for what the arguments hold."""
        try:
            return self.entries[action][resource["type"]][principal["type"]](principal, resource, context)
        except Exception:  # noqa: BLE001 - whatever it is, the long way decides
            return self.decide_slowly(principal, action, resource, context)

    def decide_many(self, requests: Iterable[Any]) -> list[Decision]:
        """The decisions about mappings with the keywords of `Engine.decide`. Never raises for what they hold."""
        decisions: list[Decision] = []
        entries, add = self.entries, decisions.append
        for asked in requests:
            try:
                # As in `decide`, without its call for each.
                principal, resource = asked["principal"], asked["resource"]
                entry = entries[asked["action"]][resource["type"]][principal["type"]]
                if asked.__class__ is dict:
                    add(entry(principal, resource, asked.get("context")))
                    continue
            except Exception:  # noqa: BLE001 - whatever it is, the long way decides
                pass
            add(self.decide_slowly(*_parts(asked)))
        return decisions

    def decide_slowly(
        self, principal: Any, action: Any, resource: Any, context: Any = None, approved: Collection[str] = ()
    ) -> Decision:
        """The decision, without the shortcut; afterwards the shortcut is there."""
        try:
            asked = request(principal, action, resource, context)
            agents = chain(asked, self._world, self._schema)
        except Fault as fault:
            return denied(RuleError("", fault.code, fault.message), self._revision)
        if approved:
            return decide(self._policies, self._schema, self._world, asked, approved, self._revision)
        return intersect([self._decide_for(actor, asked) for actor in (asked.principal, *agents)])

    def _decide_for(self, actor: Entity, asked: Request) -> Decision:
        key = (actor.uid.type, asked.action.name, asked.resource.uid.type)
        bucket = self._buckets.get(key)
        if bucket is None:
            problem = not_applicable(self._schema, *key)
            if problem is not None:
                return denied(problem, self._revision)
            bucket = self._bucket(*key)
            by_type = self.entries.setdefault(asked.action.name, {}).setdefault(asked.resource.uid.type, {})
            by_type[actor.uid.type] = self._entry(bucket, actor.uid.type)
            self._buckets[key] = bucket
        return bucket.settle(Request(actor, asked.action, asked.resource, asked.context))

    def _entry(self, bucket: Bucket, principal: str) -> Entry:
        """The way in. One that stands for the principal alone is not for one that got its task from somebody."""
        if not delegates(principal, self._schema):
            return bucket.entry
        decide, records = bucket.entry, self._world.records.get(principal, {})

        def undelegated(principal: Any, resource: Any, context: Any) -> Decision:
            if DELEGATED_BY in principal or DELEGATED_BY in records.get(principal["id"], _NOTHING):
                raise Unusual
            return decide(principal, resource, context)

        return undelegated

    def _bucket(self, principal: str, action: str, resource: str) -> Bucket:
        site = Site(principal, action, resource, frozenset(self._world.records))
        return Bucket(self._index.plan(principal, action, resource), site, self._world, self._revision, self._native)


def _parts(request: Any) -> tuple[Any, Any, Any, Any]:
    """What `decide` takes, out of a mapping; nothing at all, which is denied, out of anything else."""
    if request.__class__ is not dict and not isinstance(request, Mapping):
        return None, None, None, None
    return request.get("principal"), request.get("action"), request.get("resource"), request.get("context")
