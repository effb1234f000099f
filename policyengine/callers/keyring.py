"""The keys that are good right now, in the memory of one process, kept up with their store.

`refresh` is called every quarter of a second, from a thread of its own, so that a key that is revoked anywhere is
refused here within a second. A store that cannot be read changes nothing for `grace` seconds; after that no key is
good, as one of them may have been revoked meanwhile. Looking a key up is a dictionary access and never waits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Lock
from types import MappingProxyType

from policyengine.callers import api_key
from policyengine.callers.keys import Key, Secret, Use, admits, good_until, matching
from policyengine.callers.stores.store import KeyStore, StoreError

REFRESH = 0.25  # seconds
FLUSH = 2.0  # seconds


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """The keys of one moment, equal to itself only. `mark` is the store's for them."""

    mark: str
    keys: Mapping[str, Key]


@dataclass(frozen=True, slots=True)
class Good:
    """A key that was checked, until when its text stays good, and the moment it was found in."""

    key: Key
    until: float | None
    known: Known


class Unknowable(Exception):
    """Which keys are good cannot be told: their store has not been readable for too long."""


@dataclass(slots=True)
class Keyring:
    """The keys of a store. `clock` gives the seconds since 1970. Raises StoreError if the first load fails."""

    store: KeyStore
    hash_key: bytes
    clock: Callable[[], float]
    grace: float = 60.0
    known: Known = field(init=False)
    problem: str | None = field(init=False, default=None)
    _seen: float = field(init=False)
    _uses: dict[str, Use] = field(init=False, default_factory=dict)
    _lock: Lock = field(init=False, default_factory=Lock)

    def __post_init__(self) -> None:
        self._seen = self.clock()
        self.known = _load(self.store)

    def refresh(self) -> None:
        """Reads the store again if it has changed. Never raises: `problem` says what is wrong with it."""
        asked = self.clock()
        try:
            if self.store.mark() != self.known.mark:
                self.known = _load(self.store)
            self.problem = None
            self._seen = asked
        except StoreError as error:
            self.problem = str(error)

    def check(self, text: str, address: str | None) -> Good | None:
        """The key of a text, if it is good and may be used from the address. Raises Unknowable.

        A text that is no key, an id that nobody has, a wrong secret and a key that is not live take the same steps.
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
        return now - self._seen > self.grace

    def used(self, key_id: str, address: str | None) -> None:
        """Counts one use, to be kept by the next `flush`."""
        use = Use(1, self.clock(), address or "")
        with self._lock:
            before = self._uses.get(key_id)
            self._uses[key_id] = use if before is None else before + use

    def flush(self) -> None:
        """Adds the uses since the last time to the store. Raises StoreError; they are kept for the next try."""
        with self._lock:
            uses, self._uses = self._uses, {}
        if not uses:
            return
        try:
            self.store.add_uses(MappingProxyType(uses))
        except StoreError:
            with self._lock:
                for key_id, use in uses.items():
                    later = self._uses.get(key_id)
                    self._uses[key_id] = use if later is None else use + later
            raise


def _load(store: KeyStore) -> Known:
    # The mark first: a change that comes between the two is seen by the next refresh.
    mark = store.mark()
    return Known(mark, MappingProxyType(dict(store.keys())))


# What a text is compared with if nobody has its id, so that this takes as long as a wrong secret.
_NOBODY = Key("-", "", frozenset({"decide"}), (Secret("0" * 64),), 0.0)
