"""What administrators ask of a service: reloading, voiding, and API keys. Each call is made by one function, for both
clients.

There is no denial of such a call: what was not done raises Unavailable, of which `detail` says why. What changes
something each time it is sent is sent once; whether it was done is then known only from the service.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from pydantic import BaseModel

from policyengine.authzen import paths
from policyengine.authzen.answers import Readiness, Voided
from policyengine.authzen.keys import DAY, KeyInfo, KeyList, KeyVerdict, MadeKey, UsedKey
from policyengine.client import exchange
from policyengine.client.exchange import ClientQuestion

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class AdminCall(Generic[T]):
    """What is sent, and how the answer is read."""

    question: ClientQuestion
    read: Callable[[int, Mapping[str, str], bytes], T]


def reloading() -> AdminCall[Readiness]:
    return _call(Readiness, paths.RELOAD, {})


def voiding(why: str) -> AdminCall[float]:
    # What was opened since a first try that nobody heard the answer of would be void, too.
    question = exchange.question(paths.VOID, {"why": why} if why else {}, is_repeatable=False)
    return AdminCall(question, lambda *got: exchange.answer(Voided, *got).before)


def listing() -> AdminCall[list[UsedKey]]:
    question = ClientQuestion(paths.KEYS, b"", method="GET")
    return AdminCall(question, lambda *got: exchange.answer(KeyList, *got).keys)


def creating(
    name: str, scopes: Sequence[str], tenant: str | None, addresses: Sequence[str], seconds: float | None
) -> AdminCall[MadeKey]:
    said: dict[str, Any] = {"name": name, "scopes": list(scopes), "addresses": list(addresses)}
    said |= {"tenant": tenant} if tenant is not None else {}
    said |= {"seconds": seconds} if seconds is not None else {}
    return _call(MadeKey, paths.KEYS, said, is_repeatable=False)


def rotating(id: str, overlap: float) -> AdminCall[MadeKey]:
    return _call(MadeKey, f"{paths.KEYS}/rotate", {"id": id, "overlap": overlap}, is_repeatable=False)


def revoking(id: str) -> AdminCall[KeyInfo]:
    return _call(KeyInfo, f"{paths.KEYS}/revoke", {"id": id})


def checking(key: str, address: str | None) -> AdminCall[KeyVerdict]:
    said = {"key": key} if address is None else {"key": key, "address": address}
    return _call(KeyVerdict, f"{paths.KEYS}/check", said)


def _call(model: type[M], path: str, said: Mapping[str, Any], *, is_repeatable: bool = True) -> AdminCall[M]:
    question = exchange.question(path, said, is_repeatable=is_repeatable)
    return AdminCall(question, lambda *got: exchange.answer(model, *got))


class AskAdmin(Protocol):
    def __call__(self, call: AdminCall[T]) -> T: ...


class AskLater(Protocol):
    def __call__(self, call: AdminCall[T]) -> Awaitable[T]: ...


class Admin:
    """What an administrator may have done. Every method raises Unavailable."""

    def __init__(self, ask: AskAdmin) -> None:
        self._ask = ask

    def reload(self) -> Readiness:
        """Has the policies read again; of broken ones the answer says what is wrong."""
        return self._ask(reloading())

    def void(self, why: str = "") -> float:
        """Voids all sessions and approvals from before, of all tenants: where a state store was restored, and no node
        could notice. Returns before when, in seconds since 1970."""
        return self._ask(voiding(why))

    def keys(self) -> list[UsedKey]:
        """The keys, and how they were used."""
        return self._ask(listing())

    def create_key(
        self, name: str, scopes: Sequence[str], *, tenant: str | None = None, addresses: Sequence[str] = (),
        seconds: float | None = None,
    ) -> MadeKey:  # fmt: skip
        """A new key, good for `seconds`. Its text is in `key`, and shown this once."""
        return self._ask(creating(name, scopes, tenant, addresses, seconds))

    def rotate_key(self, id: str, *, overlap: float = DAY) -> MadeKey:
        """A new text for a key; the old one stays good for `overlap` seconds."""
        return self._ask(rotating(id, overlap))

    def revoke_key(self, id: str) -> KeyInfo:
        """Ends a key: it is refused everywhere within a second."""
        return self._ask(revoking(id))

    def check_key(self, key: str, *, address: str | None = None) -> KeyVerdict:
        """What a text is, and which key it is of."""
        return self._ask(checking(key, address))


class AsyncAdmin:
    """As `Admin`, for async code."""

    def __init__(self, ask: AskLater) -> None:
        self._ask = ask

    async def reload(self) -> Readiness:
        """Has the policies read again; of broken ones the answer says what is wrong."""
        return await self._ask(reloading())

    async def void(self, why: str = "") -> float:
        """Voids all sessions and approvals from before, of all tenants: where a state store was restored, and no node
        could notice. Returns before when, in seconds since 1970."""
        return await self._ask(voiding(why))

    async def keys(self) -> list[UsedKey]:
        """The keys, and how they were used."""
        return await self._ask(listing())

    async def create_key(
        self, name: str, scopes: Sequence[str], *, tenant: str | None = None, addresses: Sequence[str] = (),
        seconds: float | None = None,
    ) -> MadeKey:  # fmt: skip
        """A new key, good for `seconds`. Its text is in `key`, and shown this once."""
        return await self._ask(creating(name, scopes, tenant, addresses, seconds))

    async def rotate_key(self, id: str, *, overlap: float = DAY) -> MadeKey:
        """A new text for a key; the old one stays good for `overlap` seconds."""
        return await self._ask(rotating(id, overlap))

    async def revoke_key(self, id: str) -> KeyInfo:
        """Ends a key: it is refused everywhere within a second."""
        return await self._ask(revoking(id))

    async def check_key(self, key: str, *, address: str | None = None) -> KeyVerdict:
        """What a text is, and which key it is of."""
        return await self._ask(checking(key, address))
