"""Classes of resources that no rule distinguishes: the residual of the policies for one of them is that for all.

In: policies, and a resource of which only the id and the record in the entity source are known. Out: a key. Two
resources with the same key have the same residual, except for the id in it. Resources are distinguished by the rules
that name them, by the attributes of their records that rules read, and by other entities that a record mentions. If a
rule reads the id itself, each resource is a class of its own.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

from policyengine.ir.nodes import Expr, Identity, PolicySet, Root, Rule
from policyengine.model.entities import ABSENT, World
from policyengine.model.values import Uid
from policyengine.partial.gap import EVERYTHING, Reads
from policyengine.schema.schema import Schema

_RESOURCE = "resource"
# If the source knows a tool's arguments, the tool's declaration matters as well.
_ALONE = frozenset({"id", EVERYTHING, "args"})


class ResourceClasses:
    """The keys of the resources of one type, for one action."""

    def __init__(
        self, policies: PolicySet, schema: Schema, world: World, reads: Reads, action: str, type_: str
    ) -> None:
        self._type = type_
        self._records = world.records.get(type_, {})
        self._naming: dict[Uid, list[int]] = {}
        read: set[str] = set()
        for number, rule in enumerate(policies.rules):
            if rule.head.actions is not None and action not in rule.head.actions:
                continue
            scope = rule.head.resource
            for uid in {*(scope.entities or ()), *(scope.within or ())}:
                self._naming.setdefault(uid, []).append(number)
            for expr in _expressions_read(rule):
                read.update(one[1] for one in reads.of(expr) if not isinstance(one, int) and one[0] == _RESOURCE)
        self._by_name = "id" in read or EVERYTHING in read
        self._places = frozenset({"parents", *(name for name, _ in schema.places_of(type_))})
        self._looked_at = tuple(sorted((read | self._places) - _ALONE))

    def key(self, id_: str) -> Hashable:
        """The key of the resource with this id."""
        record = self._records.get(id_)
        if self._by_name or (record is not None and "args" in record):
            return id_
        naming = tuple(self._naming.get(Uid(self._type, id_), ()))
        if record is None:
            return (naming,)
        # As text, because an attribute may be a list, which has no hash.
        return naming, frozenset(record), repr([record.get(name, ABSENT) for name in self._looked_at])

    def known_names(self, id_: str) -> frozenset[str] | None:
        """The names of the known attributes of a resource that mentions nothing; None for one that may mention
        something."""
        record = self._records.get(id_, {})
        return None if "args" in record or not self._places.isdisjoint(record) else frozenset(record)


def _expressions_read(rule: Rule) -> Iterator[Expr]:
    """The expressions that a rule reads. That a resource has an id is known of each."""
    yield rule.condition
    for spec in rule.obligations:
        yield from (expr for _, expr in spec.properties if not _is_name(expr))


def _is_name(expr: Any) -> bool:
    return isinstance(expr, Identity) and isinstance(expr.base, Root) and expr.base.name == _RESOURCE
