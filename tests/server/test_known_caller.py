"""A connection that shows the same credential again is recognised at once, as long as all holds that made it good."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from policyengine.callers import keys
from policyengine.callers.api_key import ApiKey
from policyengine.callers.authenticate import Authenticator
from policyengine.callers.keyring import Keyring
from policyengine.callers.keys import Key
from policyengine.callers.stores.opening import open_store
from policyengine.callers.stores.store import KeyStore
from policyengine.callers.throttle import Failures
from policyengine.events.sink import Nowhere
from policyengine.server.authentication import Authentication
from policyengine.server.metrics import Tally
from policyengine.server.pipeline import Peer

HASH_KEY = b"h" * 32


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


class Service:
    """What authenticates, its store and its clock; and one connection from each of two addresses."""

    def __init__(self, path: Path) -> None:
        self.clock = Clock()
        self.store: KeyStore = open_store(str(path), create=True)
        self.keys = [self.new(), self.new()]
        self.ring = Keyring(open_store(str(path)), HASH_KEY, self.clock, grace=60.0)
        self.authenticator = Authenticator(self.clock, self.ring)
        self.step = Authentication(self.authenticator, {}, Failures(10, 60.0), (), Tally(), None, Nowhere())  # type: ignore[arg-type]
        self.near, self.far = (Peer(("127.0.0.1", 80), (host, 5)) for host in ("10.0.0.1", "10.0.0.2"))

    def new(self, **more: Any) -> ApiKey:
        made, text = keys.create("test", frozenset({"decide"}), HASH_KEY, self.clock(), **more)
        self.store.change(lambda _: made)
        return text

    def change(self, key: ApiKey, **changed: Any) -> None:
        def change(known: Mapping[str, Key]) -> Key:
            return replace(known[key.id], **changed)

        self.store.change(change)
        self.ring.refresh()

    def in_full(self, key: ApiKey, peer: Peer | None = None) -> str | None:
        """Whose it is, checked in full."""
        address = (peer or self.near).client
        found = self.authenticator.bearer(header(key), address[0] if address else None)
        return getattr(found, "id", None)

    def at_once(self, key: ApiKey, peer: Peer | None = None) -> str | None:
        """Whose it is where the connection is known."""
        found = self.step.known(peer or self.near, {b"authorization": header(key)})
        return found.id if found is not None else None


def header(key: ApiKey) -> bytes:
    return f"Bearer {key.text}".encode()


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path / "keys")


def test_whoever_was_checked_is_known_on_every_connection(service: Service) -> None:
    one, other = service.keys
    assert service.at_once(one) is None
    assert service.in_full(one) == one.id
    for _ in range(3):
        assert service.at_once(one) == service.at_once(one, service.far) == one.id
    assert service.at_once(other) is None
    assert service.in_full(other) == other.id
    # A connection may show another one each time.
    for key in (one, other, other, one, one):
        assert service.at_once(key) == key.id
    assert {key: use.count for key, use in service.ring.take_uses().items()} == {one.id: 10, other.id: 3}


def test_what_only_begins_like_a_good_one_is_not(service: Service) -> None:
    one = service.keys[0]
    assert service.in_full(one) == one.id
    assert service.at_once(one) == one.id
    for odd in (header(one)[:-1], header(one) + b"0", header(one).lower(), b"", b"Bearer "):
        assert service.step.known(service.near, {b"authorization": odd}) is None
    assert service.step.known(service.near, {}) is None
    assert service.at_once(one) == one.id


def test_one_that_is_revoked_is_known_no_more(service: Service) -> None:
    one, other = service.keys
    for key in service.keys:
        assert service.in_full(key) == key.id
    assert service.at_once(one) == service.at_once(one, service.far) == one.id
    service.store.change(lambda known: keys.revoke(known[one.id], service.clock()))
    service.ring.refresh()
    for _ in range(3):
        assert service.at_once(one) is service.at_once(one, service.far) is service.in_full(one) is None
    # What has changed of one is looked at for all, once.
    assert service.at_once(other) is None
    assert service.in_full(other) == other.id
    assert service.at_once(other) == other.id


def test_a_connection_knows_what_is_good_again(service: Service) -> None:
    one = service.keys[0]
    assert service.in_full(one) == one.id
    assert service.at_once(one) == one.id
    service.change(one, name="other")
    assert service.at_once(one) is None
    assert service.in_full(one) == one.id
    assert service.at_once(one) == one.id
    known = service.near.shown
    assert service.at_once(one) == one.id
    assert service.near.shown is known


def test_one_from_another_address_is_not_known_there(service: Service) -> None:
    bound = service.new(addresses=(ip_network("10.0.0.1/32"),))
    service.ring.refresh()
    assert service.in_full(bound) == bound.id
    for _ in range(3):
        assert service.at_once(bound) == bound.id
        assert service.at_once(bound, service.far) is service.in_full(bound, service.far) is None
        assert service.in_full(bound) == bound.id


def test_one_that_has_expired_and_a_store_that_is_away(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    short = service.new(expires=service.clock() + 30)
    service.ring.refresh()
    long = service.keys[0]
    for key in (short, long):
        assert service.in_full(key) == key.id
        assert service.at_once(key) == key.id
    service.clock.now += 31
    assert service.at_once(short) is None
    assert service.at_once(long) == long.id
    service.clock.now += 31
    # Nobody has read the store for longer than it may be out of reach.
    assert service.at_once(long) is None
    service.ring.refresh()
    assert service.at_once(long) == long.id


def test_uses_are_counted_from_one_time_that_they_are_taken_to_the_next(service: Service) -> None:
    one, other = service.keys
    for key in service.keys:
        assert service.in_full(key) == key.id
    taken = []
    for _ in range(3):
        service.clock.now += 2
        assert service.at_once(one) == service.at_once(one, service.far) == service.in_full(one) == one.id
        assert service.at_once(one) == one.id
        taken.append(service.ring.take_uses())
        assert service.ring.take_uses() == {}
    near = service.near.client[0] if service.near.client else ""
    assert [uses[one.id].count for uses in taken] == [5, 4, 4]
    assert [(uses[one.id].last, uses[one.id].address) for uses in taken] == [(1000.0 + 2 * n, near) for n in (1, 2, 3)]
    # What nobody has used since is in none.
    assert [other.id in uses for uses in taken] == [True, False, False]
    assert service.at_once(one, service.far) == one.id
    assert service.ring.take_uses()[one.id].address == "10.0.0.2"
