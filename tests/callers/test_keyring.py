"""The keys of a process follow their store, and what cannot be told is refused in time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from policyengine.callers import api_key, keys
from policyengine.callers.api_key import ApiKey
from policyengine.callers.caller import Scope
from policyengine.callers.keyring import Keyring, Unknowable
from policyengine.callers.keys import Key, KeyUse
from policyengine.callers.stores.opening import open_store
from policyengine.callers.stores.store import Keys, KeyStoreError

HASH_KEY = b"h" * 32
DECIDE: frozenset[Scope] = frozenset({"decide"})


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def put(made: Key) -> Callable[[Keys], Key]:
    return lambda _: made


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys"


@pytest.fixture
def shown(path: Path, clock: Clock) -> ApiKey:
    made, text = keys.create("ci", DECIDE, HASH_KEY, clock())
    open_store(str(path), create=True).change(put(made))
    return text


@pytest.fixture
def ring(path: Path, shown: ApiKey, clock: Clock) -> Keyring:
    return Keyring(open_store(str(path)), HASH_KEY, clock, grace=60.0)


def test_a_key_of_the_store_is_good(ring: Keyring, shown: ApiKey) -> None:
    good = ring.check(shown.text, "10.0.0.1")
    assert good is not None
    assert good.key.caller.id == shown.id
    assert good.until is None


def test_no_other_text_is(ring: Keyring, shown: ApiKey) -> None:
    for text in ("", "pe_sk_", api_key.new().text, api_key.new(shown.id).text, shown.text[:-1]):
        assert ring.check(text, None) is None


def test_a_hash_key_that_is_another_makes_every_key_wrong(path: Path, shown: ApiKey, clock: Clock) -> None:
    assert Keyring(open_store(str(path)), b"x" * 32, clock).check(shown.text, None) is None


def test_a_revoked_key_is_refused_after_one_refresh(ring: Keyring, shown: ApiKey, path: Path) -> None:
    open_store(str(path)).change(lambda known: keys.revoke(known[shown.id], 1000.0))
    ring.refresh()
    assert ring.check(shown.text, None) is None


def test_a_key_that_expires_meanwhile_is_refused(ring: Keyring, shown: ApiKey, path: Path, clock: Clock) -> None:
    made, text = keys.create("short", DECIDE, HASH_KEY, clock(), expires=1010.0)
    open_store(str(path)).change(put(made))
    ring.refresh()
    good = ring.check(text.text, None)
    assert good is not None
    assert good.until == 1010.0
    clock.now = 1010.0
    assert ring.check(text.text, None) is None


def test_a_store_that_breaks_changes_nothing_for_the_stated_time_and_then_no_key_is_good(
    ring: Keyring, shown: ApiKey, path: Path, clock: Clock
) -> None:
    good = path.read_bytes()
    path.write_bytes(b"broken")
    clock.now += 60.0
    ring.refresh()
    assert ring.problem is not None
    assert ring.check(shown.text, None) is not None
    clock.now += 0.1
    with pytest.raises(Unknowable):
        ring.check(shown.text, None)
    path.write_bytes(good)
    ring.refresh()
    assert ring.problem is None
    assert ring.check(shown.text, None) is not None


def test_a_store_that_vanishes_is_no_empty_store(ring: Keyring, shown: ApiKey, path: Path) -> None:
    path.unlink()
    ring.refresh()
    assert ring.problem is not None
    assert ring.check(shown.text, None) is not None


def test_there_is_no_keyring_of_a_store_that_cannot_be_read(tmp_path: Path, clock: Clock) -> None:
    with pytest.raises(KeyStoreError):
        Keyring(open_store(str(tmp_path / "none")), HASH_KEY, clock)


def test_uses_reach_the_store_once_also_if_it_was_away(ring: Keyring, shown: ApiKey, path: Path) -> None:
    ring.used(shown.id, "10.0.0.1", 1000.0)
    ring.used(shown.id, "10.0.0.2", 1001.0)
    usage = path.with_name("keys.usage")
    usage.write_text("broken")
    usage.chmod(0o600)
    with pytest.raises(KeyStoreError):
        ring.keep_uses(ring.take_uses())
    ring.used(shown.id, "10.0.0.3", 1001.0)
    usage.unlink()
    ring.keep_uses(ring.take_uses())
    ring.keep_uses(ring.take_uses())
    assert open_store(str(path)).uses() == {shown.id: KeyUse(3, 1001.0, "10.0.0.3")}
