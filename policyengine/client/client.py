"""The clients of a decision service, for plain and for async code. All that is not I/O is in `exchange.py`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Self, TypeVar

import httpx2

from policyengine.authzen import paths
from policyengine.authzen.answers import ExplainResponse, FilterResponse
from policyengine.client import exchange
from policyengine.client.administering import Admin, AsyncAdmin
from policyengine.client.exchange import ClientQuestion, Flat, Unavailable, denial
from policyengine.client.retrying import async_retrying, retrying
from policyengine.model.decision import Decision

T = TypeVar("T")
# A key or a token, or whatever gives the one that is good now.
Credential = str | Callable[[], str]
Read = Callable[[int, Mapping[str, str], bytes], T]
MOST_BYTES = 64 << 20
_HEADERS = {"content-type": "application/json", "accept": "application/json"}
_ERRORS = (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError, RuntimeError)


class _Settings:
    """What both clients are told: the base URL; a credential; a Unix socket in place of the network; the seconds that
    all tries of one question may take together; how many tries; and what httpx2 takes as `verify`."""

    def __init__(
        self, base_url: str, *, credential: Credential | None = None, uds: str | None = None, timeout: float = 2.0,
        attempts: int = 3, verify: Any = True, transport: Any = None,
    ) -> None:  # fmt: skip
        if timeout <= 0 or attempts < 1:
            raise ValueError("`tries` must be at least 1, and the timeout more than 0")
        self._credential = credential
        self._timeout = timeout
        self._attempts = attempts
        self._options: dict[str, Any] = {"base_url": base_url, "trust_env": False, "follow_redirects": False}
        self._transport = {"uds": uds, "verify": verify}
        self._given = transport

    def _tries(self, question: ClientQuestion) -> int:
        return self._attempts if question.is_repeatable else 1

    def _headers(self) -> dict[str, str]:
        try:
            credential = self._credential() if callable(self._credential) else self._credential
        except Exception as error:
            raise Unavailable("there is no credential") from error
        return _HEADERS if credential is None else {**_HEADERS, "authorization": f"Bearer {credential}"}


class Client(_Settings):
    """A client for plain code; its methods are those of an engine. Safe from several threads."""

    def __init__(self, base_url: str, **settings: Any) -> None:
        super().__init__(base_url, **settings)
        transport = self._given or httpx2.HTTPTransport(trust_env=False, **self._transport)
        self._http = httpx2.Client(transport=transport, **self._options)

    def decide(
        self,
        *,
        principal: Flat,
        action: str | Flat,
        resource: Flat,
        context: Flat | None = None,
        approved: Collection[str] = (),
        metered: Collection[str] | bool = (),
    ) -> Decision:
        """The decision about one request; a denial where there is none. Never raises for what a service does. `metered`
        is as in `Engine.decide`; a service takes nobody's word for approvals, so that `approved` denies."""
        try:
            question = exchange.evaluation(principal, action, resource, context, approved, metered)
            return exchange.met(self._ask(question, exchange.decision), metered)
        except Unavailable as error:
            return denial(error)

    def decide_many(self, requests: Iterable[Mapping[str, Any]]) -> list[Decision]:
        """The decisions about many requests (mappings with the keywords of `decide`), in their order."""
        asked = list(requests)
        if not asked:
            return []
        try:
            return self._ask(exchange.evaluations(asked), lambda *got: exchange.decisions(asked, *got))
        except Unavailable as error:
            return [denial(error)] * len(asked)

    def search_principals(
        self, *, principal_type: str, action: str | Flat, resource: Flat, context: Flat | None = None,
        principal: Flat | None = None, metered: Collection[str] | bool = (),
    ) -> list[dict[str, str]]:  # fmt: skip
        """The principals that may do this, as references sorted by id. Raises Unavailable."""
        parts = {"principal": {**(principal or {}), "type": principal_type}, "action": action, "resource": resource}
        return self._pages(paths.SEARCH_SUBJECT, parts, exchange.metering(context, metered), exchange.entities)

    def search_resources(
        self, *, principal: Flat, action: str | Flat, resource_type: str, context: Flat | None = None,
        resource: Flat | None = None, metered: Collection[str] | bool = (),
    ) -> list[dict[str, str]]:  # fmt: skip
        """The resources that this may be done to, as references sorted by id. Raises Unavailable."""
        parts = {"principal": principal, "action": action, "resource": {**(resource or {}), "type": resource_type}}
        return self._pages(paths.SEARCH_RESOURCE, parts, exchange.metering(context, metered), exchange.entities)

    def search_actions(
        self, *, principal: Flat, resource: Flat, context: Flat | None = None, metered: Collection[str] | bool = ()
    ) -> list[str]:
        """The actions that may be done: their names, sorted. Raises Unavailable."""
        parts = {"principal": principal, "resource": resource}
        return self._pages(paths.SEARCH_ACTION, parts, exchange.metering(context, metered), exchange.names)

    def filter(
        self, *, principal: Flat, action: str | Flat, resource_type: str, context: Flat | None = None,
        resource: Flat | None = None, backend: Flat | None = None, exact: bool = False, fulfilled: Sequence[str] = (),
        metered: Collection[str] | bool = (),
    ) -> FilterResponse:  # fmt: skip
        """Which resources may be seen, as a query for a store. Raises Unavailable."""
        known = {**(resource or {}), "type": resource_type}
        return self._ask(
            exchange.filtering(
                principal, action, known, exchange.metering(context, metered), backend, exact, fulfilled
            ),
            exchange.filtered,
        )

    def explain(
        self, *, principal: Flat, action: str | Flat, resource: Flat, context: Flat | None = None,
        metered: Collection[str] | bool = (),
    ) -> ExplainResponse:  # fmt: skip
        """The decision, and why it is what it is, for callers with the scope `explain`. Raises Unavailable."""
        return self._ask(
            exchange.explaining(principal, action, resource, exchange.metering(context, metered)), exchange.explained
        )

    @property
    def admin(self) -> Admin:
        """What administrators may do: reload, void, and manage API keys."""
        return Admin(lambda call: self._ask(call.question, call.read))

    def _pages(
        self, path: str, parts: Mapping[str, Any], context: Flat | None, read: Read[tuple[list[T], str | None]]
    ) -> list[T]:
        results, token = self._ask(exchange.search(path, parts, context, None), read)
        while token is not None:
            more, token = self._ask(exchange.search(path, parts, context, token), read)
            results += more
        return results

    def _ask(self, question: ClientQuestion, read: Read[T]) -> T:
        deadline = time.monotonic() + self._timeout
        for attempt in retrying(self._tries(question), self._timeout):
            with attempt:
                return read(*self._once(question, deadline))
        raise AssertionError("the last try raises")

    def _once(self, question: ClientQuestion, deadline: float) -> tuple[int, Mapping[str, str], bytes]:
        body = bytearray()
        try:
            with self._http.stream(
                question.method,
                question.path,
                content=question.body or None,
                headers=self._headers(),
                timeout=_left(deadline),
            ) as response:
                for part in response.iter_bytes():
                    body += part
                    _left(deadline)
                    _check_size(body)
        except _ERRORS as error:
            raise Unavailable(type(error).__name__, again=True) from None
        return response.status_code, response.headers, bytes(body)

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncClient(_Settings):
    """A client for async code; else as `Client`."""

    def __init__(self, base_url: str, **settings: Any) -> None:
        super().__init__(base_url, **settings)
        transport = self._given or httpx2.AsyncHTTPTransport(trust_env=False, **self._transport)
        self._http = httpx2.AsyncClient(transport=transport, **self._options)

    async def decide(
        self,
        *,
        principal: Flat,
        action: str | Flat,
        resource: Flat,
        context: Flat | None = None,
        approved: Collection[str] = (),
        metered: Collection[str] | bool = (),
    ) -> Decision:
        """The decision about one request; a denial where there is none. Never raises for what a service does. `metered`
        is as in `Engine.decide`; a service takes nobody's word for approvals, so that `approved` denies."""
        try:
            question = exchange.evaluation(principal, action, resource, context, approved, metered)
            return exchange.met(await self._ask(question, exchange.decision), metered)
        except Unavailable as error:
            return denial(error)

    async def decide_many(self, requests: Iterable[Mapping[str, Any]]) -> list[Decision]:
        """The decisions about many requests (mappings with the keywords of `decide`), in their order."""
        asked = list(requests)
        if not asked:
            return []
        try:
            return await self._ask(exchange.evaluations(asked), lambda *got: exchange.decisions(asked, *got))
        except Unavailable as error:
            return [denial(error)] * len(asked)

    async def search_principals(
        self, *, principal_type: str, action: str | Flat, resource: Flat, context: Flat | None = None,
        principal: Flat | None = None, metered: Collection[str] | bool = (),
    ) -> list[dict[str, str]]:  # fmt: skip
        """The principals that may do this, as references sorted by id. Raises Unavailable."""
        parts = {"principal": {**(principal or {}), "type": principal_type}, "action": action, "resource": resource}
        return await self._pages(paths.SEARCH_SUBJECT, parts, exchange.metering(context, metered), exchange.entities)

    async def search_resources(
        self, *, principal: Flat, action: str | Flat, resource_type: str, context: Flat | None = None,
        resource: Flat | None = None, metered: Collection[str] | bool = (),
    ) -> list[dict[str, str]]:  # fmt: skip
        """The resources that this may be done to, as references sorted by id. Raises Unavailable."""
        parts = {"principal": principal, "action": action, "resource": {**(resource or {}), "type": resource_type}}
        return await self._pages(paths.SEARCH_RESOURCE, parts, exchange.metering(context, metered), exchange.entities)

    async def search_actions(
        self, *, principal: Flat, resource: Flat, context: Flat | None = None, metered: Collection[str] | bool = ()
    ) -> list[str]:
        """The actions that may be done: their names, sorted. Raises Unavailable."""
        parts = {"principal": principal, "resource": resource}
        return await self._pages(paths.SEARCH_ACTION, parts, exchange.metering(context, metered), exchange.names)

    async def filter(
        self, *, principal: Flat, action: str | Flat, resource_type: str, context: Flat | None = None,
        resource: Flat | None = None, backend: Flat | None = None, exact: bool = False, fulfilled: Sequence[str] = (),
        metered: Collection[str] | bool = (),
    ) -> FilterResponse:  # fmt: skip
        """Which resources may be seen, as a query for a store. Raises Unavailable."""
        known = {**(resource or {}), "type": resource_type}
        return await self._ask(
            exchange.filtering(
                principal, action, known, exchange.metering(context, metered), backend, exact, fulfilled
            ),
            exchange.filtered,
        )

    async def explain(
        self, *, principal: Flat, action: str | Flat, resource: Flat, context: Flat | None = None,
        metered: Collection[str] | bool = (),
    ) -> ExplainResponse:  # fmt: skip
        """The decision, and why it is what it is, for callers with the scope `explain`. Raises Unavailable."""
        return await self._ask(
            exchange.explaining(principal, action, resource, exchange.metering(context, metered)), exchange.explained
        )

    @property
    def admin(self) -> AsyncAdmin:
        """What administrators may do: reload, void, and manage API keys."""
        return AsyncAdmin(lambda call: self._ask(call.question, call.read))

    async def _pages(
        self, path: str, parts: Mapping[str, Any], context: Flat | None, read: Read[tuple[list[T], str | None]]
    ) -> list[T]:
        results, token = await self._ask(exchange.search(path, parts, context, None), read)
        while token is not None:
            more, token = await self._ask(exchange.search(path, parts, context, token), read)
            results += more
        return results

    async def _ask(self, question: ClientQuestion, read: Read[T]) -> T:
        deadline = time.monotonic() + self._timeout
        async for attempt in async_retrying(self._tries(question), self._timeout):
            with attempt:
                return read(*await self._once(question, deadline))
        raise AssertionError("the last try raises")

    async def _once(self, question: ClientQuestion, deadline: float) -> tuple[int, Mapping[str, str], bytes]:
        body = bytearray()
        try:
            async with (
                asyncio.timeout(_left(deadline)),
                self._http.stream(
                    question.method,
                    question.path,
                    content=question.body or None,
                    headers=self._headers(),
                    timeout=_left(deadline),
                ) as response,
            ):
                async for part in response.aiter_bytes():
                    body += part
                    _check_size(body)
        except _ERRORS as error:
            raise Unavailable(type(error).__name__, again=True) from None
        return response.status_code, response.headers, bytes(body)

    async def close(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise Unavailable("no answer in time")
    return left


def _check_size(body: bytearray) -> None:
    if len(body) > MOST_BYTES:
        raise Unavailable("the answer of the service is too long")
