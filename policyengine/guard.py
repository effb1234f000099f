"""Enforces decisions: the call goes ahead only if it is allowed and every obligation is fulfilled.

A PEP in one line: `enforce(decision, fulfil={...})`, or the decorator `guard` around the function that does the thing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import wraps
from inspect import isawaitable, iscoroutinefunction, signature
from typing import Any, ParamSpec, Protocol, TypeVar

from policyengine.model.decision import Decision, Obligation
from policyengine.release.sources import SourceDocument, Sources

P = ParamSpec("P")
R = TypeVar("R")
# Fulfils an obligation; raises, or returns False, if it cannot.
Fulfil = Mapping[str, Callable[[Obligation], object]]
# One of the parts of a request, or a function that makes it from the arguments of the guarded call, by name.
Part = Any | Callable[[Mapping[str, Any]], Any]


class Denied(PermissionError):
    """A request that may not go ahead. `decision` says why; the text may be shown to the requester."""

    def __init__(self, decision: Decision, why: str = "") -> None:
        self.decision = decision
        super().__init__(why or "; ".join(decision.reasons) or decision.summary)


class Unfulfilled(Exception):
    """A function that fulfils obligations reported that it did not."""


def enforce(decision: Decision, *, fulfil: Fulfil | None = None) -> Decision:
    """The decision itself, if it is an allow and `fulfil` fulfilled every obligation, by type. Raises Denied for a
    deny, for an obligation that `fulfil` does not know or whose function raised, and for a limit that is not metered.
    Obligations on a deny are fulfilled as far as they are known before Denied is raised."""
    handlers = fulfil or {}
    if decision.decision == "allow" and decision.unmetered:
        raise Denied(decision, f"allowed only within limits that are not metered here: {', '.join(decision.unmetered)}")
    unknown = [o for o in decision.obligations if not callable(handlers.get(o.type))]
    if decision.decision == "allow" and unknown:
        owed = ", ".join(sorted({o.type for o in unknown}))
        raise Denied(decision, f"allowed only with an obligation that is not fulfilled here: {owed}")
    for obligation in decision.obligations:
        handler = handlers.get(obligation.type)
        try:
            if callable(handler) and handler(obligation) is False:
                raise Unfulfilled(obligation.type)
        except Exception as error:
            if decision.decision == "allow":
                raise Denied(decision, f"an obligation could not be fulfilled: {obligation.type}") from error
    if decision.decision != "allow":
        raise Denied(decision)
    return decision


class Decides(Protocol):
    """An engine, or a client of a service. Decisions of an async client must be awaited."""

    def decide(
        self,
        *,
        principal: Any,
        action: Any,
        resource: Any,
        context: Any = None,
        approved: Any = (),
        metered: Any = (),
    ) -> Decision | Awaitable[Decision]: ...


def guard(
    engine: Decides,
    *,
    principal: Part,
    action: Part,
    resource: Part,
    context: Part = None,
    approved: Part = (),
    fulfil: Fulfil | None = None,
    record: Callable[[Decision], object] | None = None,
    metered: Collection[str] | bool | None = (),
    sources: Sources | None = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator: the function runs only if the request is allowed. Otherwise Denied is raised and the function never
    starts.

    Each part is a value, or a function of the arguments of the call (a mapping by parameter name, with defaults filled
    in). If such a function raises, the call does not happen. `approved` names the `require` rules whose approval was
    verified for exactly this call, and `metered` the limits that the function meters (True for all), as in
    `Engine.decide`. `record` receives the decision before the function runs, so that the session carries its labels; if
    it raises, that exception is raised. Without it, a decision with labels is Denied, because nothing would remember
    them. `sources` receives the resource, a document that the function reads, for `release(sources=...)`. Works for
    plain and for async functions."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        parameters = signature(function)

        def ask(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Decision | Awaitable[Decision]]:
            bound = parameters.bind(*args, **kwargs)
            bound.apply_defaults()
            given = bound.arguments
            asked = {
                name: part(given) if callable(part) else part
                for name, part in (
                    ("principal", principal), ("action", action), ("resource", resource), ("context", context),
                    ("approved", approved),
                )
            }  # fmt: skip
            return asked["resource"], engine.decide(**asked, metered=metered)

        def check(decision: Decision, document: Any) -> None:
            if decision.decision == "allow" and decision.labels and record is None:
                raise Denied(decision, f"allowed only with labels that nothing records: {', '.join(decision.labels)}")
            enforce(decision, fulfil=fulfil)
            if record is not None:
                record(decision)
            if sources is not None:
                sources.add(SourceDocument(document, decision.labels, decision.obligations))

        if iscoroutinefunction(function):

            @wraps(function)
            async def guarded_async(*args: P.args, **kwargs: P.kwargs) -> Any:
                document, decision = ask(args, kwargs)
                check(await decision if isawaitable(decision) else decision, document)
                return await function(*args, **kwargs)

            return guarded_async  # type: ignore[return-value]

        @wraps(function)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            document, decision = ask(args, kwargs)
            if not isinstance(decision, Decision):
                raise TypeError("a client for async code guards async functions only")
            check(decision, document)
            return function(*args, **kwargs)

        return guarded

    return decorate
