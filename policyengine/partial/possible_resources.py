"""Which of many resources a caller could be allowed to use, when only their names are known.

For each resource, the answer is whether its residual can be true. Resources that no rule distinguishes are evaluated
once. For the others, the questions are prepared once for all resources with the same known attributes, and only the
rules are evaluated for each."""

from __future__ import annotations

from collections.abc import Collection, Hashable
from dataclasses import replace

from policyengine.model.request import Request
from policyengine.model.values import Entity, Uid
from policyengine.partial.formula import FALSE
from policyengine.partial.gap import Gap
from policyengine.partial.gap_caller import GapCaller
from policyengine.partial.residual import Partial


class PossibleResources:
    """A caller's questions about resources of the type in its request."""

    def __init__(
        self, partial: Partial, request: Request, fulfilled: Collection[str], approved: Collection[str]
    ) -> None:
        self._partial, self._request = partial, request
        self._fulfilled, self._approved = fulfilled, approved
        self._type = request.resource.uid.type
        self._alike = partial.alike(request.action.name, self._type)
        self._mentioned = partial.mentions(request)
        self._possible: dict[Hashable, bool] = {}
        # The number of resources that were evaluated, as a measure of the work.
        self.found = 0
        # Everybody who must be allowed, by the known attributes of the resource.
        self._questions: dict[frozenset[str], list[tuple[Gap, GapCaller]] | None] = {}

    def is_possible(self, id_: str) -> bool:
        """Whether the resource with this id could be allowed."""
        uid = Uid(self._type, id_)
        own = self._mentioned.own
        if uid in own.contents or uid in own.named:
            # What the request says of this resource counts.
            self.found += 1
            return self._residual(id_)
        key = self._alike.key(id_)
        known = self._possible.get(key)
        if known is None:
            self.found += 1
            known = self._possible[key] = self._found(uid)
        return known

    def _found(self, uid: Uid) -> bool:
        names = self._alike.known_names(uid.id)
        if names is None:
            return self._residual(uid.id)
        known = {**self._named(uid.id), **(self._partial.record(self._type, uid.id) or {}), "id": uid.id}
        if names not in self._questions:
            self._questions[names] = self._partial.named(
                self._request, known, self._fulfilled, self._approved, self._mentioned
            )
        questions = self._questions[names]
        if questions is None:
            return False
        resource = Entity(uid, known)
        return self._partial.allowed([(gap, _about(caller, resource)) for gap, caller in questions]) != FALSE

    def _residual(self, id_: str) -> bool:
        named = self._named(id_)
        about = replace(self._request, resource=Entity(Uid(self._type, id_), named))
        formula = self._partial.residual(
            about, "resource", named, self._fulfilled, self._approved, mentioned=self._mentioned
        )
        return formula != FALSE

    def _named(self, id_: str) -> dict[str, str]:
        return {"type": self._type, "id": id_}


def _about(caller: GapCaller, resource: Entity) -> GapCaller:
    return GapCaller(replace(caller.request, resource=resource), caller.world, caller.fulfilled, caller.met)
