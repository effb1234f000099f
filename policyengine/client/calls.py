"""What a client asks of a service, each call written once: steps that yield a question, and how its answer is read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from policyengine.authzen import endpoints
from policyengine.authzen.answers import ExplainResponse, FilterResponse
from policyengine.client import exchange
from policyengine.client.exchange import ClientQuestion, Flat, Unavailable, denial
from policyengine.model.decision import Decision
from policyengine.steps import Steps

T = TypeVar("T")
Read = Callable[[int, Mapping[str, str], bytes], T]


def asking(question: ClientQuestion, read: Read[T]) -> Steps[T]:
    answer: T = yield question, read
    return answer


class Calls:
    """The methods of a client, which are those of an engine."""

    def decide(
        self,
        *,
        principal: Flat,
        action: str | Flat,
        resource: Flat,
        context: Flat | None = None,
        approved: Collection[str] = (),
        metered: Collection[str] | bool = (),
    ) -> Steps[Decision]:
        """The decision about one request; a denial where there is none. Never raises for what a service does. `metered`
        is as in `Engine.decide`; a service takes nobody's word for approvals, so that `approved` denies."""
        try:
            question = exchange.evaluation(principal, action, resource, context, approved, metered)
            return exchange.met((yield from asking(question, exchange.decision)), metered)
        except Unavailable as error:
            return denial(error)

    def decide_many(self, requests: Iterable[Mapping[str, Any]]) -> Steps[list[Decision]]:
        """The decisions about many requests (mappings with the keywords of `decide`), in their order."""
        asked = list(requests)
        if not asked:
            return []
        try:
            return (yield from asking(exchange.evaluations(asked), lambda *got: exchange.decisions(asked, *got)))
        except Unavailable as error:
            return [denial(error)] * len(asked)

    def search_principals(
        self, *, principal_type: str, action: str | Flat, resource: Flat, context: Flat | None = None,
        principal: Flat | None = None, metered: Collection[str] | bool = (),
    ) -> Steps[list[dict[str, str]]]:  # fmt: skip
        """The principals that may do this, as references sorted by id. Raises Unavailable."""
        parts = {"principal": exchange.sought(principal_type, principal), "action": action, "resource": resource}
        return (
            yield from _pages(endpoints.SEARCH_SUBJECT, parts, exchange.metering(context, metered), exchange.entities)
        )

    def search_resources(
        self, *, principal: Flat, action: str | Flat, resource_type: str, context: Flat | None = None,
        resource: Flat | None = None, metered: Collection[str] | bool = (),
    ) -> Steps[list[dict[str, str]]]:  # fmt: skip
        """The resources that this may be done to, as references sorted by id. Raises Unavailable."""
        parts = {"principal": principal, "action": action, "resource": exchange.sought(resource_type, resource)}
        return (
            yield from _pages(endpoints.SEARCH_RESOURCE, parts, exchange.metering(context, metered), exchange.entities)
        )

    def search_actions(
        self, *, principal: Flat, resource: Flat, context: Flat | None = None, metered: Collection[str] | bool = ()
    ) -> Steps[list[str]]:
        """The actions that may be done: their names, sorted. Raises Unavailable."""
        parts = {"principal": principal, "resource": resource}
        return (yield from _pages(endpoints.SEARCH_ACTION, parts, exchange.metering(context, metered), exchange.names))

    def filter(
        self, *, principal: Flat, action: str | Flat, resource_type: str, context: Flat | None = None,
        resource: Flat | None = None, backend: Flat | None = None, exact: bool = False, fulfilled: Sequence[str] = (),
        metered: Collection[str] | bool = (),
    ) -> Steps[FilterResponse]:  # fmt: skip
        """Which resources may be seen, as a query for a store. Raises Unavailable."""
        known = exchange.sought(resource_type, resource)
        known_context = exchange.metering(context, metered)
        question = exchange.filtering(principal, action, known, known_context, backend, exact, fulfilled)
        return (yield from asking(question, exchange.filtered))

    def explain(
        self, *, principal: Flat, action: str | Flat, resource: Flat, context: Flat | None = None,
        metered: Collection[str] | bool = (),
    ) -> Steps[ExplainResponse]:  # fmt: skip
        """The decision, and why it is what it is, for callers with the scope `explain`. Raises Unavailable."""
        question = exchange.explaining(principal, action, resource, exchange.metering(context, metered))
        return (yield from asking(question, exchange.explained))


def _pages(
    path: str, parts: Mapping[str, Any], context: Flat | None, read: Read[tuple[list[T], str | None]]
) -> Steps[list[T]]:
    results, token = yield from asking(exchange.search(path, parts, context, None), read)
    while token is not None:
        more, token = yield from asking(exchange.search(path, parts, context, token), read)
        results += more
    return results
