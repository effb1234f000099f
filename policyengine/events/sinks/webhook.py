"""Events posted to a URL, signed as the Standard Webhooks scheme has it, and sent again until they are taken.

A thread of its own sends, one event at a time and in order, from a queue with a bound. Where the queue is full, or an
event was not taken after its last try, it is dropped and counted. The request that raised an event never waits.
"""

from __future__ import annotations

import hmac
import json
import time
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections import Counter
from collections.abc import Collection, Mapping
from queue import Empty, SimpleQueue
from threading import Event as Flag
from threading import Lock, Thread
from typing import Any

from tenacity import (
    RetryError,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_after_attempt,
    stop_when_event_set,
)
from tenacity.wait import wait_random_exponential

from policyengine.events.event import Event
from policyengine.lazy_import import library, logger

_httpx2 = library("httpx2")
log = logger(__name__)

PREFIX = "whsec_"
SHORTEST, LONGEST = 24, 64  # bytes of a secret
QUEUE = 1_000
ATTEMPTS = 8
TIMEOUT = 10.0
# How long `close` waits for what is still to be sent, in seconds.
CLOSING = 2.0
LONGEST_PAUSE = 300.0
GONE = 410


class _NotTaken(Exception):
    """It may be taken another time."""


class NeverTaken(Exception):
    """It was not taken, and will not be."""


def secret_key(secret: str) -> bytes:
    """The key in a secret: `whsec_` and 24 to 64 bytes in base64. Raises ValueError."""
    try:
        key = b64decode(secret.removeprefix(PREFIX), validate=True)
    except (NotBase64, ValueError):
        key = b""
    if not secret.startswith(PREFIX) or not SHORTEST <= len(key) <= LONGEST:
        raise ValueError(f"a webhook's secret is `{PREFIX}` and {SHORTEST} to {LONGEST} bytes in base64")
    return key


def body(event: Event) -> bytes:
    """What is posted."""
    data = {"tenant": event.tenant, **event.fields}
    told = {"type": event.kind, "timestamp": event.time, "data": data}
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


def signed(key: bytes, id_: str, at: int, content: bytes) -> dict[str, str]:
    """The headers that say what is posted, when, and that it comes from somebody who has the key."""
    told = b"%s.%d.%s" % (id_.encode(), at, content)
    signature = b64encode(hmac.digest(key, told, "sha256")).decode()
    return {"webhook-id": id_, "webhook-timestamp": str(at), "webhook-signature": f"v1,{signature}"}


def client(seconds: float) -> Any:
    """Of httpx2. No redirects: what is signed goes where it was to go. No proxies and credentials of the environment
    either."""
    return _httpx2.Client(timeout=seconds, follow_redirects=False, trust_env=False)


def post(
    client: Any,
    url: str,
    key: bytes,
    id_: str,
    content: bytes,
    *,
    attempts: int,
    pause: float,
    longest: float,
    over: Flag,
) -> None:
    """Posts it, signed, until it is taken. `pause` is the first wait before it tries again, in seconds, which doubles
    up to `longest`. Raises NeverTaken, also once it is `over`."""
    again = Retrying(
        stop=stop_after_attempt(attempts) | stop_when_event_set(over),
        wait=wait_random_exponential(multiplier=pause, max=longest),
        retry=retry_if_exception_type(_NotTaken),
        # Nothing waits for the next try once it is over.
        sleep=sleep_using_event(over),
    )
    try:
        again(_post, client, url, key, id_, content)
    except RetryError:
        raise NeverTaken from None


def _post(client: Any, url: str, key: bytes, id_: str, content: bytes) -> None:
    headers = {"content-type": "application/json", **signed(key, id_, int(time.time()), content)}
    try:
        # What it answers beside its status is not read.
        with client.stream("POST", url, content=content, headers=headers) as answer:
            status = answer.status_code
    except (_httpx2.HTTPError, _httpx2.StreamError, OSError):
        raise _NotTaken from None
    if status == GONE:
        raise NeverTaken
    if not 200 <= status < 300:
        raise _NotTaken


class WebhookSink:
    """Posts events of these kinds (all, if none is named; `limit` names all that begin with it) to a URL. Raises
    ValueError for a secret that is none. `pause` is the first wait before it tries again, in seconds, which doubles."""

    def __init__(
        self,
        url: str,
        secret: str,
        *,
        kinds: Collection[str] = (),
        queue: int = QUEUE,
        attempts: int = ATTEMPTS,
        timeout: float = TIMEOUT,
        pause: float = 0.5,
    ) -> None:
        self._url = url
        self._key = secret_key(secret)
        self._kinds = tuple(kinds)
        self._queue: SimpleQueue[Event | None] = SimpleQueue()
        self._most = queue
        self._attempts = attempts
        self._timeout = timeout
        self._pause = pause
        self._lock = Lock()
        self._thread: Thread | None = None
        self._closing = Flag()
        self._dropped: Counter[str] = Counter()
        self._sent = 0

    def send(self, event: Event) -> None:
        if self._kinds and not any(event.kind == kind or event.kind.startswith(f"{kind}.") for kind in self._kinds):
            return
        with self._lock:
            if self._closing.is_set() or self._queue.qsize() >= self._most:
                self._dropped["closed" if self._closing.is_set() else "full"] += 1
                return
            self._queue.put(event)
            # Begun by the first event: a process that forks before has its own thread after.
            if self._thread is None or not self._thread.is_alive():
                # A daemon: a process that ends does not wait for somebody who does not answer.
                self._thread = Thread(target=self._run, name="policyengine-webhook", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """What is still to be sent is tried once more, as long as that takes no more than seconds."""
        with self._lock:
            self._closing.set()
            self._queue.put(None)
            thread = self._thread
        if thread is not None:
            thread.join(CLOSING)
        while (left := self._next()) is not None:
            self._drop("closed", left)

    def read(self) -> Mapping[str, int]:
        """How many were `sent`, and how many dropped: as the queue was `full`, as it was `refused`, as this was
        `closed`."""
        with self._lock:
            return {"sent": self._sent, **{why: self._dropped[why] for why in ("full", "refused", "closed")}}

    def _next(self) -> Event | None:
        try:
            return self._queue.get_nowait()
        except Empty:
            return None

    def _drop(self, why: str, event: Event) -> None:
        log.warning("event_not_sent", kind=event.kind, id=event.id, why=why)
        with self._lock:
            self._dropped[why] += 1

    def _run(self) -> None:
        with client(self._timeout) as http:
            while (event := self._queue.get()) is not None:
                self._tell(http, event)

    def _tell(self, http: Any, event: Event) -> None:
        content = body(event)
        try:
            post(
                http, self._url, self._key, event.id, content,
                attempts=self._attempts, pause=self._pause, longest=LONGEST_PAUSE, over=self._closing,
            )  # fmt: skip
        except Exception as error:  # noqa: BLE001 - whatever it is, the next event is sent
            if not isinstance(error, NeverTaken):
                log.error("webhook_failed", kind=event.kind, error=type(error).__name__)
            self._drop("refused", event)
        else:
            with self._lock:
                self._sent += 1
