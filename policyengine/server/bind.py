"""Requests of bound callers: completed from the caller's binding, or refused with 403.

In: a caller and a checked request. Out: the request as it is to be answered. It is checked against the snapshot that
answers it. Requests of a caller without bindings pass unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

from policyengine.authzen.engine_arguments import DecideArguments, FilterRequest, Search
from policyengine.bundle import Snapshot
from policyengine.callers.binding import NotYours, bound_context, bound_principal
from policyengine.callers.caller import Caller
from policyengine.callers.tenancy import ANYBODY, Tenancy, own_parts, problems, tenant_of
from policyengine.callers.tenant_reach import reaches_others
from policyengine.filters.backend import Backend
from policyengine.filters.compile import compiled
from policyengine.filters.filter import Filter
from policyengine.model.types import STRING
from policyengine.partial.formula import ID, TRUE, Formula, Matching, Relation
from policyengine.partial.logic import conj
from policyengine.server.errors import RequestError, log

R = TypeVar("R", Search, FilterRequest)


class Forbidden(RequestError):
    """The caller may not ask this; status 403."""

    def __init__(self, message: str) -> None:
        super().__init__(403, message)


class Binding:
    """How the requests of one service are bound to their callers."""

    def __init__(self, tenancy: Tenancy) -> None:
        self.tenancy = tenancy
        self._fits: tuple[Snapshot, bool] | None = None

    def silent(self, caller: Caller, value: dict[str, Any], *, principal_is_sought: bool = False) -> dict[str, Any]:
        """The JSON of a request, with the subject that the caller's token names if it has none."""
        if caller.principal is None or "subject" in value or principal_is_sought:
            return value
        return {**value, "subject": {"type": caller.principal["type"], "id": caller.principal["id"]}}

    def arguments(self, caller: Caller, snapshot: Snapshot, asked: DecideArguments) -> DecideArguments:
        """One request. Raises Forbidden."""
        if not caller.is_bound:
            return asked
        principal, context = self._bound(
            caller, snapshot, asked["principal"], asked["action"], asked["resource"], asked["context"]
        )
        return {
            "principal": principal, "action": asked["action"], "resource": asked["resource"], "context": context
        }  # fmt: skip

    def shows_others(self, caller: Caller, snapshot: Snapshot, values: Any) -> bool:
        """Whether something of another tenant is among these values, or can be reached from them."""
        if caller.tenant is None:
            return False
        return reaches_others(caller.tenant, self.tenancy, snapshot.world, snapshot.schema, values)

    def asked(self, caller: Caller, snapshot: Snapshot, asked: R, sought: str) -> R:
        """A request with a gap, `sought`: "subject", "resource" or "action". Raises Forbidden."""
        if not caller.is_bound:
            return asked
        if sought == "subject" and caller.principal is not None:
            raise Forbidden("the token is for one subject, and the search is for others")
        principal, context = self._bound(
            caller, snapshot, asked.principal, asked.action, asked.resource, asked.context, is_gap=sought == "subject"
        )
        for entity in (asked.principal, asked.resource):
            self._check_gap(caller, entity)
        return replace(asked, principal=principal, context=context)

    def _bound(
        self, caller: Caller, snapshot: Snapshot, principal: Any, action: Any, resource: Any, context: Any,
        is_gap: bool = False,
    ) -> tuple[dict[str, Any], dict[str, Any]]:  # fmt: skip
        try:
            if not is_gap:
                principal = bound_principal(caller, principal)
            context = bound_context(caller, context)
            if caller.tenant is not None:
                self._check_fits(snapshot)
                parts = {"principal": principal, "action": action, "resource": resource, "context": context}
                context = own_parts(caller, self.tenancy, snapshot.world, snapshot.schema, parts)
        except NotYours as refused:
            raise Forbidden(str(refused)) from None
        return principal, dict(context)

    def _check_gap(self, caller: Caller, entity: dict[str, Any]) -> None:
        """The attributes given for the results must not be another tenant's."""
        if caller.tenant is None or "id" in entity:
            return
        attribute = self.tenancy.attribute_of(entity["type"])
        if attribute is not None and entity.get(attribute, caller.tenant) != caller.tenant:
            raise Forbidden("the search is for another tenant than the caller's")

    def own(
        self, caller: Caller, snapshot: Snapshot, type_: str | None, find: Callable[[str | None, int], list[str]],
        after: str | None, limit: int,
    ) -> list[str]:  # fmt: skip
        """The caller's first `limit` results after the given one. `find` returns that many results after another one;
        `type_` is None for actions."""
        if caller.tenant is None or type_ is None:
            return find(after, limit)
        results: list[str] = []
        while len(results) < limit:
            more = find(after, limit)
            results += self._mine(caller, snapshot, type_, more)
            if len(more) < limit:
                break
            after = more[-1]
        return results[:limit]

    def _mine(self, caller: Caller, snapshot: Snapshot, type_: str, ids: list[str]) -> Iterator[str]:
        for id_ in ids:
            if tenant_of({"type": type_, "id": id_}, self.tenancy, snapshot.world) in (caller.tenant, ANYBODY):
                yield id_

    def filter(self, caller: Caller, found: Filter) -> Filter:
        """A filter that finds only what belongs to the caller's tenant."""
        return replace(found, formula=conj(found.formula, self._condition(caller, found.resource_type)))

    def check_query(self, caller: Caller, found: Filter, backend: Backend) -> None:
        """Raises Forbidden for a store whose query cannot be restricted to the tenant, and would find everybody's."""
        condition = self._condition(caller, found.resource_type)
        if condition != TRUE and compiled(condition, backend, found.resource_type).rechecked:
            raise Forbidden("this store cannot be restricted to the caller's tenant")

    def _condition(self, caller: Caller, type_: str) -> Formula:
        """The condition that holds for the things of a type that belong to the caller's tenant."""
        if caller.tenant is None or type_ in self.tenancy.shared:
            return TRUE
        attribute = self.tenancy.attribute_of(type_)
        if type_ == self.tenancy.type:
            return Relation(ID, STRING, "==", caller.tenant)
        if attribute is not None:
            return Relation((attribute,), STRING, "==", caller.tenant)
        return Matching(ID, STRING, (f"{caller.tenant}{self.tenancy.separator}", ""))

    def _check_fits(self, snapshot: Snapshot) -> None:
        """Raises RequestError (503) if a tenant cannot be determined with these policies."""
        if self._fits is None or self._fits[0] is not snapshot:
            misfits = problems(self.tenancy, snapshot.schema)
            if misfits:
                log.error("the tenant of an entity cannot be determined", problems=misfits, revision=snapshot.revision)
            self._fits = (snapshot, not misfits)
        if not self._fits[1]:
            raise RequestError(503, "an entity type has no attribute for its tenant and is not listed as shared")
