"""The clients of a decision service, for plain and for async code. What they ask is in `calls.py`, and its bytes in
`exchange.py`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, Self, TypeVar

import httpx2

from policyengine.client.administering import Admin, AsyncAdmin
from policyengine.client.calls import Calls, Read
from policyengine.client.exchange import ClientQuestion, Unavailable
from policyengine.client.retrying import async_retrying, retrying
from policyengine.steps import awaited, plain

T = TypeVar("T")
# A key or a token, or whatever gives the one that is good now.
Credential = str | Callable[[], str]
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

    decide = plain(Calls.decide)
    decide_many = plain(Calls.decide_many)
    search_principals = plain(Calls.search_principals)
    search_resources = plain(Calls.search_resources)
    search_actions = plain(Calls.search_actions)
    filter = plain(Calls.filter)
    explain = plain(Calls.explain)

    @property
    def admin(self) -> Admin:
        """What administrators may do: reload, void, and manage API keys."""
        return Admin(self._ask)

    def _ask(self, asked: tuple[ClientQuestion, Read[T]]) -> T:
        question, read = asked
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

    decide = awaited(Calls.decide)
    decide_many = awaited(Calls.decide_many)
    search_principals = awaited(Calls.search_principals)
    search_resources = awaited(Calls.search_resources)
    search_actions = awaited(Calls.search_actions)
    filter = awaited(Calls.filter)
    explain = awaited(Calls.explain)

    @property
    def admin(self) -> AsyncAdmin:
        """What administrators may do: reload, void, and manage API keys."""
        return AsyncAdmin(self._ask_async)

    async def _ask_async(self, asked: tuple[ClientQuestion, Read[T]]) -> T:
        question, read = asked
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
