"""The keys that are valid right now, in the memory of one process, kept in step with their store.

`refresh` is called every quarter of a second, from its own thread, so that a key that is revoked anywhere is refused
here within a second. A store that cannot be read changes nothing for `grace` seconds. After that no key is valid,
because one of them may have been revoked in the meantime. Looking up a key is a dictionary access and never waits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Lock
from types import MappingProxyType
from typing import Any

from policyengine.callers import api_key
from policyengine.callers.caller import Caller
from policyengine.callers.keys import Key, KeyUse, Secret, admits, good_until, matching
from policyengine.callers.stores.store import KeyStore, KeyStoreError

REFRESH = 0.25  # seconds
FLUSH = 2.0  # seconds


@dataclass(frozen=True, slots=True, eq=False)
class KnownKey:
    """The keys of one moment, equal to itself only. `mark` is the store's for them."""

    mark: str
    keys: Mapping[str, Key]


@dataclass(frozen=True, slots=True)
class Good:
    """A key that was checked, until when its text stays good, and the moment it was found in."""

    key: Key
    until: float | None
    known: KnownKey


class Unknowable(Exception):
    """Nobody knows which keys are valid: their store has not been readable for too long."""


@dataclass(slots=True)
class Keyring:
    """The keys of a store. `clock` gives the seconds since 1970. Raises StoreError if the first load fails."""

    store: KeyStore
    hash_key: bytes
    clock: Callable[[], float]
    grace: float = 60.0
    known: KnownKey = field(init=False)
    problem: str | None = field(init=False, default=None)
    # How long what was read may be relied on.
    read_until: float = field(init=False)
    # How often the uses of keys have been taken.
    taken: int = field(init=False, default=0)
    _uses: dict[str, list[Any]] = field(init=False, default_factory=dict)
    _untold: dict[str, KeyUse] = field(init=False, default_factory=dict)
    _lock: Lock = field(init=False, default_factory=Lock)

    def __post_init__(self) -> None:
        self.read_until = self.clock() + self.grace
        self.known = _load(self.store)

    def refresh(self) -> None:
        """Reads the store again if it has changed. Never raises: `problem` says what is wrong with it."""
        asked = self.clock()
        try:
            if self.store.mark() != self.known.mark:
                self.known = _load(self.store)
            self.problem = None
            self.read_until = asked + self.grace
        except KeyStoreError as error:
            self.problem = str(error)

    def check(self, text: str, address: str | None) -> Good | None:
        """The key of a text, if it is good and may be used from the address. Raises Unknowable.

        A text that is not a key, an id that nobody has, a wrong secret and a key that is not live take the same steps.
        """
        shown = api_key.parse(text)
        if shown is None:
            return None
        now = self.clock()
        if self.is_stale(now):
            raise Unknowable
        known = self.known
        key = known.keys.get(shown.id)
        digest = api_key.digest(shown, self.hash_key)
        right = matching(key or _NOBODY, digest, now)
        if key is None or not right or not key.is_live(now) or not admits(key, address):
            return None
        return Good(key, good_until(key, digest), known)

    def is_stale(self, now: float) -> bool:
        """Whether the store has not been read for too long, be it broken or hanging."""
        return now > self.read_until

    def uses(self, key: Key, known: object, address: str | None, now: float) -> bool:
        """Counts one use of a key that was good in the moment `known`. False, and nothing is counted, if that is over,
        the store has not been read for too long, or the key may not be used from the address. Called by the thread that
        answers requests, and by no other, as are `used` and `take_uses`."""
        # As `is_stale`, without a call of it.
        if self.known is not known or now > self.read_until or (key.addresses and not admits(key, address)):
            return False
        self.used(key.id, address, now)
        return True

    def recognizing(
        self, caller: Caller, key: Key, known: object, until: float, address: str | None
    ) -> Callable[[], Caller | None]:
        """As `uses`, for one connection, from which a key was good that its text is until some time: the caller, for
        as long as all of that holds."""
        return _KeyOfConnection(self, caller, key.id, known, until, address).good if admits(key, address) else _nobody

    def used(self, key_id: str, address: str | None, now: float) -> None:
        """Counts one use."""
        use = self.counted(key_id)
        use[0] += 1
        use[1] = now
        use[2] = address

    def counted(self, key_id: str) -> list[Any]:
        """Where the uses of a key are counted until they are taken: their number, the last one, and its address. Counts
        one at least."""
        return self._uses.setdefault(key_id, [0, 0.0, None])

    def take_uses(self) -> Mapping[str, KeyUse]:
        """The uses since the last time."""
        uses, self._uses = self._uses, {}
        self.taken += 1
        return {key_id: KeyUse(count, last, address or "") for key_id, (count, last, address) in uses.items()}

    def keep_uses(self, uses: Mapping[str, KeyUse]) -> None:
        """Adds uses to the store, and those that it could not be told before. May block. Raises KeyStoreError."""
        with self._lock:
            for key_id, use in uses.items():
                self._untold[key_id] = self._untold[key_id] + use if key_id in self._untold else use
            if self._untold:
                self.store.add_uses(self._untold)
                self._untold = {}


class _KeyOfConnection:
    """A key that was good, on one connection. Nearly every request of a caller with a key takes this path."""

    __slots__ = ("_address", "_caller", "_clock", "_id", "_known", "_ring", "_taken", "_until", "_use")

    def __init__(
        self, ring: Keyring, caller: Caller, key_id: str, known: object, until: float, address: str | None
    ) -> None:
        self._ring, self._clock = ring, ring.clock
        self._caller, self._id, self._known, self._until, self._address = caller, key_id, known, until, address
        # Where its uses are counted, until those of all keys are taken.
        self._use: list[Any] = []
        self._taken = -1

    def good(self) -> Caller | None:
        """The caller, and one use is counted; None if it is not known to be good any more."""
        now, ring = self._clock(), self._ring
        if now >= self._until or ring.known is not self._known or now > ring.read_until:
            return None
        if ring.taken != self._taken:
            self._use, self._taken = ring.counted(self._id), ring.taken
        use = self._use
        use[0] += 1
        use[1] = now
        use[2] = self._address
        return self._caller


def _nobody() -> Caller | None:
    return None


def _load(store: KeyStore) -> KnownKey:
    # The mark first: a change that comes between the two is seen by the next refresh.
    mark = store.mark()
    return KnownKey(mark, MappingProxyType(dict(store.keys())))


# What a text is compared with if nobody has its id, so that this takes as long as a wrong secret.
_NOBODY = Key("-", "", frozenset({"decide"}), (Secret("0" * 64),), 0.0)
