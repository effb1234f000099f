"""API keys in Redis, for the processes of many machines. Needs redis-py: `pip install policyengine-ai[redis]`.

The names of all keys share one hash tag, so that a cluster keeps them together and a change is one transaction. Without
its mark a store is not there: a Redis that was emptied lets nobody in.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from policyengine.callers.keys import Key, KeyUse, as_json
from policyengine.callers.stores.store import Keys, KeyStoreError, keys_of

T = TypeVar("T")
_KEYS, _MARK, _USES = (f"policyengine:{{keys}}:{name}" for name in ("keys", "mark", "uses"))
_SECONDS = 5.0
# Somebody else's change in between makes this one start again; so many times at most.
_TRIES = 100


class RedisStore:
    """The keys in a Redis, behind a URL of redis-py."""

    def __init__(self, address: str) -> None:
        self._library, self._client = _client(address)

    def mark(self) -> str:
        with self._errors():
            kept_mark = self._client.get(_MARK)
        return _marked(kept_mark)

    def keys(self) -> Keys:
        with self._errors():
            mark, bodies = self._client.pipeline(transaction=True).get(_MARK).hgetall(_KEYS).execute()
        _marked(mark)
        return _keys(bodies)

    def change(self, change: Callable[[Keys], Key]) -> Key:
        def put(pipe: Any) -> Key:
            _marked(pipe.get(_MARK))
            changed = change(_keys(pipe.hgetall(_KEYS)))
            pipe.multi()
            pipe.hset(_KEYS, changed.id, json.dumps(as_json(changed)))
            pipe.incr(_MARK)
            return changed

        return self._unless_changed(put, _MARK, _KEYS)

    def add_uses(self, uses: Mapping[str, KeyUse]) -> None:
        def add(pipe: Any) -> None:
            known = _uses(pipe.hgetall(_USES))
            pipe.multi()
            for id_, use in uses.items():
                use = known[id_] + use if id_ in known else use
                pipe.hset(_USES, id_, json.dumps([use.count, use.last, use.address]))

        self._unless_changed(add, _USES)

    def _unless_changed(self, write: Callable[[Any], T], *watched: str) -> T:
        """What `write` returns, which reads what is watched and says what is to be written, in one transaction."""
        with self._errors(), self._client.pipeline(transaction=True) as pipe:
            for _ in range(_TRIES):
                pipe.watch(*watched)
                written = write(pipe)
                with suppress(self._library.WatchError):
                    pipe.execute()
                    return written
        raise KeyStoreError("Redis: the keys keep changing")

    def uses(self) -> Mapping[str, KeyUse]:
        with self._errors():
            kept_uses = self._client.hgetall(_USES)
        return _uses(kept_uses)

    def close(self) -> None:
        self._client.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (self._library.RedisError, OSError) as error:
            # The message of the library may show the address, and with it a password.
            raise KeyStoreError(f"Redis: {type(error).__name__}") from None


def create_redis(address: str) -> None:
    """Makes the mark of a store, if it is not there. Raises StoreError."""
    store = RedisStore(address)
    try:
        with store._errors():
            store._client.set(_MARK, 0, nx=True)
    finally:
        store.close()


def _client(address: str) -> tuple[Any, Any]:
    try:
        import redis
    except ImportError:
        raise KeyStoreError("Redis needs redis-py: pip install policyengine-ai[redis]") from None
    try:
        settings = {"socket_timeout": _SECONDS, "socket_connect_timeout": _SECONDS}
        return redis, redis.Redis.from_url(address, **settings)
    except ValueError:
        raise KeyStoreError("Redis: not an address of one") from None


def _marked(found: bytes | None) -> str:
    if found is None:
        raise KeyStoreError("Redis: not a store of keys")
    return found.decode()


def _keys(bodies: Mapping[bytes, bytes]) -> Keys:
    return keys_of(((name.decode("utf-8", "replace"), body) for name, body in bodies.items()), "Redis")


def _uses(bodies: Mapping[bytes, bytes]) -> Mapping[str, KeyUse]:
    try:
        read = {name.decode(): json.loads(body) for name, body in bodies.items()}
        return {id_: KeyUse(int(count), float(last), str(at)) for id_, (count, last, at) in read.items()}
    except (ValueError, TypeError):
        raise KeyStoreError("Redis: not the usage of keys") from None
