"""What administrators ask of a service: reloading, voiding, and API keys. Each call is written once, for both clients.

There is no denial of such a call: what was not done raises Unavailable, of which `detail` says why. What changes
something each time it is sent is sent once; whether it was done is then known only from the service.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel

from policyengine.authzen import endpoints
from policyengine.authzen.answers import Readiness, Voided
from policyengine.authzen.keys import DAY, KeyInfo, KeyList, KeyVerdict, MadeKey, UsedKey
from policyengine.client import exchange
from policyengine.client.calls import asking
from policyengine.client.exchange import ClientQuestion
from policyengine.steps import Steps, awaited, plain

M = TypeVar("M", bound=BaseModel)


def _asking(model: type[M], path: str, said: Mapping[str, Any] | None, *, is_repeatable: bool = True) -> Steps[M]:
    """With nothing said, it is a GET."""
    if said is None:
        question = ClientQuestion(path, b"", method="GET")
    else:
        question = exchange.question(path, said, is_repeatable=is_repeatable)
    return (yield from asking(question, lambda *got: exchange.answer(model, *got)))


class AdminCalls:
    """What an administrator may have done. Every method raises Unavailable."""

    def reload(self) -> Steps[Readiness]:
        """Has the policies read again; of broken ones the answer says what is wrong."""
        return (yield from _asking(Readiness, endpoints.RELOAD, {}))

    def void(self, why: str = "") -> Steps[float]:
        """Voids all sessions and approvals from before, of all tenants: where a state store was restored, and no node
        could notice. Returns before when, in seconds since 1970."""
        # What was opened since a first try that nobody heard the answer of would be void, too.
        said = {"why": why} if why else {}
        return (yield from _asking(Voided, endpoints.VOID, said, is_repeatable=False)).before

    def keys(self) -> Steps[list[UsedKey]]:
        """The keys, and how they were used."""
        return (yield from _asking(KeyList, endpoints.KEYS, None)).keys

    def create_key(
        self, name: str, scopes: Sequence[str], *, tenant: str | None = None, addresses: Sequence[str] = (),
        seconds: float | None = None,
    ) -> Steps[MadeKey]:  # fmt: skip
        """A new key, good for `seconds`. Its text is in `key`, and shown this once."""
        said: dict[str, Any] = {"name": name, "scopes": list(scopes), "addresses": list(addresses)}
        said |= {"tenant": tenant} if tenant is not None else {}
        said |= {"seconds": seconds} if seconds is not None else {}
        return (yield from _asking(MadeKey, endpoints.KEYS, said, is_repeatable=False))

    def rotate_key(self, id: str, *, overlap: float = DAY) -> Steps[MadeKey]:
        """A new text for a key; the old one stays good for `overlap` seconds."""
        said = {"id": id, "overlap": overlap}
        return (yield from _asking(MadeKey, f"{endpoints.KEYS}/rotate", said, is_repeatable=False))

    def revoke_key(self, id: str) -> Steps[KeyInfo]:
        """Ends a key: it is refused everywhere within a second."""
        return (yield from _asking(KeyInfo, f"{endpoints.KEYS}/revoke", {"id": id}))

    def check_key(self, key: str, *, address: str | None = None) -> Steps[KeyVerdict]:
        """What a text is, and which key it is of."""
        said = {"key": key} if address is None else {"key": key, "address": address}
        return (yield from _asking(KeyVerdict, f"{endpoints.KEYS}/check", said))


class Admin:
    """See `AdminCalls`."""

    def __init__(self, ask: Callable[[Any], Any]) -> None:
        self._ask = ask

    reload = plain(AdminCalls.reload)
    void = plain(AdminCalls.void)
    keys = plain(AdminCalls.keys)
    create_key = plain(AdminCalls.create_key)
    rotate_key = plain(AdminCalls.rotate_key)
    revoke_key = plain(AdminCalls.revoke_key)
    check_key = plain(AdminCalls.check_key)


class AsyncAdmin:
    """As `Admin`, for async code."""

    def __init__(self, ask: Callable[[Any], Awaitable[Any]]) -> None:
        self._ask_async = ask

    reload = awaited(AdminCalls.reload)
    void = awaited(AdminCalls.void)
    keys = awaited(AdminCalls.keys)
    create_key = awaited(AdminCalls.create_key)
    rotate_key = awaited(AdminCalls.rotate_key)
    revoke_key = awaited(AdminCalls.revoke_key)
    check_key = awaited(AdminCalls.check_key)
