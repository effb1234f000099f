"""API keys over HTTP, for administrators: `GET /v1/admin/keys`, `POST /v1/admin/keys`, and below it `rotate`, `revoke`
and `check`.

The policies of administration decide about the action `admin_keys`. If the text of a key is shown, they receive its
scopes as `context.grants`. A caller that is bound to a tenant makes keys for that tenant, and keys of other tenants do
not exist for it. The text of a key is in one answer, and in no log line and no event.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any, TypeVar, cast

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel, ValidationError

from policyengine.authzen import endpoints, read
from policyengine.authzen.errors import Malformed
from policyengine.authzen.keys import (
    CheckedKey,
    KeyInfo,
    KeyList,
    KeyUsage,
    KeyVerdict,
    MadeKey,
    NewKey,
    RevokedKey,
    RotatedKey,
    UsedKey,
)
from policyengine.callers import key_views, keys
from policyengine.callers.caller import Caller, Scope
from policyengine.callers.keyring import Keyring
from policyengine.callers.keys import Key
from policyengine.callers.stores.store import Keys, KeyStoreError
from policyengine.engine import Engine
from policyengine.events.event import Event, Field
from policyengine.events.sink import Sink
from policyengine.server.administration import Administration
from policyengine.server.errors import RequestError
from policyengine.server.pipeline import Question, Reply

ACTION = "admin_keys"
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class KeyDesk:
    """Manages keys. `keyring` is None for a service without a store of keys, which answers 404. The methods wait for
    the store, so call them in threads."""

    keyring: Keyring | None
    administration: Administration
    events: Sink

    def questions(self) -> dict[str, Question]:
        handlers: dict[str, Callable[[bytes, Caller], BaseModel]] = {
            endpoints.KEYS: self.create,
            f"{endpoints.KEYS}/rotate": self.rotate,
            f"{endpoints.KEYS}/revoke": self.revoke,
            f"{endpoints.KEYS}/check": self.check,
        }
        names = ("keys_create", "keys_rotate", "keys_revoke", "keys_check")
        return {
            path: Question(name, _answering(handle), thread_body=0, kind="waiting")
            for name, (path, handle) in zip(names, handlers.items(), strict=True)
        }

    def add_routes(self, app: FastAPI) -> None:
        @app.get(endpoints.KEYS, tags=["operation"], summary="The keys, and how they were used", name="keys")
        def keys(request: Request) -> Response:
            listed = self.listed(request.scope["caller"])
            return Response(_bytes(listed), media_type="application/json")

    def listed(self, caller: Caller) -> KeyList:
        """Raises RequestError, as the others do."""
        store, now = self._ring().store, time.time()
        try:
            known, uses = store.keys(), store.uses()
        except KeyStoreError:
            raise _away() from None
        mine = sorted((key for key in known.values() if _is_own(key, caller)), key=lambda key: (key.created, key.id))
        return KeyList(
            keys=[
                UsedKey(**key_views.public(key, now), usage=KeyUsage(**key_views.usage(uses.get(key.id))))
                for key in mine
            ]
        )

    def create(self, body: bytes, caller: Caller) -> MadeKey:
        asked, now, ring = _read(NewKey, body), time.time(), self._ring()
        if caller.tenant is not None and asked.tenant not in (None, caller.tenant):
            raise RequestError(403, "the caller is bound to another tenant")
        scopes = frozenset(cast("list[Scope]", asked.scopes))
        try:
            made, shown = keys.create(
                asked.name,
                scopes,
                ring.hash_key,
                now,
                tenant=caller.tenant or asked.tenant,
                addresses=tuple(ip_network(each) for each in asked.addresses),
                expires=None if asked.seconds is None else now + asked.seconds,
            )
        except ValueError as error:
            raise Malformed(str(error) if "scopes" in str(error) else "`addresses` must be networks") from None
        self._grant(caller, scopes)
        self._change(lambda _: made)
        self._tell("created", made, caller)
        return MadeKey(**key_views.public(made, now), key=shown.text)

    def rotate(self, body: bytes, caller: Caller) -> MadeKey:
        asked, now, ring = _read(RotatedKey, body), time.time(), self._ring()
        texts: list[str] = []

        def change(known: Keys) -> Key:
            key = _own(known, asked.id, caller)
            self._grant(caller, key.scopes)
            try:
                rotated, shown = keys.rotate(key, ring.hash_key, now, asked.overlap)
            except ValueError as error:
                raise RequestError(409, str(error)) from None
            texts[:] = [shown.text]
            return rotated

        rotated = self._change(change)
        self._tell("rotated", rotated, caller)
        return MadeKey(**key_views.public(rotated, now), key=texts[0])

    def revoke(self, body: bytes, caller: Caller) -> KeyInfo:
        asked, now = _read(RevokedKey, body), time.time()
        self._ring()
        revoked = self._change(lambda known: keys.revoke(_own(known, asked.id, caller), now))
        self._tell("revoked", revoked, caller)
        return KeyInfo(**key_views.public(revoked, now))

    def check(self, body: bytes, caller: Caller) -> KeyVerdict:
        asked, now, ring = _read(CheckedKey, body), time.time(), self._ring()
        try:
            known = ring.store.keys()
        except KeyStoreError:
            raise _away() from None
        own = {id_: key for id_, key in known.items() if _is_own(key, caller)}
        state, key = key_views.judged(asked.key, own, ring.hash_key, now, asked.address)
        return KeyVerdict(state=state, key=None if key is None else KeyInfo(**key_views.public(key, now)))

    def _ring(self) -> Keyring:
        if self.keyring is None:
            raise RequestError(404, "this service has no store of keys")
        return self.keyring

    def _grant(self, caller: Caller, scopes: frozenset[Scope]) -> None:
        """Checks that the caller may see the text of a key with these scopes. Raises RequestError."""
        decision = self.administration.decide(caller, ACTION, grants=scopes)
        if not decision.allowed:
            raise RequestError(403, "; ".join(decision.reasons) or "the caller may not make a key with these scopes")

    def _change(self, change: Callable[[Keys], Key]) -> Key:
        ring = self._ring()
        try:
            changed = ring.store.change(change)
        except KeyStoreError:
            raise _away() from None
        # This process knows at once, and all others within a second.
        ring.refresh()
        return changed

    def _tell(self, what: str, key: Key, caller: Caller) -> None:
        by = caller.label
        fields: dict[str, Field] = {"key": key.id, "name": key.name, "scopes": tuple(sorted(key.scopes)), "by": by}
        self.events.send(Event(f"key.{what}", fields, key.tenant or ""))


def _answering(handle: Callable[[bytes, Caller], BaseModel]) -> Callable[[Engine, bytes, Caller], Reply]:
    return lambda _, body, caller: Reply(_bytes(handle(body, caller)), (), 0)


def _is_own(key: Key, caller: Caller) -> bool:
    return caller.tenant is None or key.tenant == caller.tenant


def _own(known: Keys, id_: str, caller: Caller) -> Key:
    key = known.get(id_)
    if key is None or not _is_own(key, caller):
        raise RequestError(404, "no key has that id")
    return key


def _away() -> RequestError:
    return RequestError(503, "the key store is unavailable", ((b"retry-after", b"5"),))


def _read(model: type[M], body: bytes) -> M:
    try:
        return model.model_validate(read.json_object(body))
    except ValidationError as error:
        wrong: Any = error.errors(include_input=False, include_url=False)[0]
        # The name of an unknown member comes from the caller, so it is not repeated.
        if wrong["type"] == "extra_forbidden":
            raise Malformed(f"unknown member; known are {', '.join(sorted(model.model_fields))}") from None
        raise Malformed(f"`{wrong['loc'][0]}`: {wrong['msg'].lower()}") from None


def _bytes(answer: BaseModel) -> bytes:
    return answer.model_dump_json().encode()
