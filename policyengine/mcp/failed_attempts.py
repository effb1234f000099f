"""Failed attempts to sign in over HTTP: counted by address, reported in one line and one event each, then told to wait.

A good token is never refused because of what others tried. A request without a token is not an attempt: clients begin
that way, to be told where to get a token.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from policyengine.callers.authenticate import key_id
from policyengine.callers.refusal import Refusal
from policyengine.callers.throttle import Failures, retry_after
from policyengine.events.event import Event
from policyengine.events.sink import Sink

log = logging.getLogger(__name__)

# As many as the decision service takes where its settings say nothing else.
COUNT, PER = 5, 60.0


class FailedAttempts:
    """What whoever failed is answered. `now` is in seconds, of a clock that does not go back."""

    def __init__(
        self, events: Sink, count: int = COUNT, per: float = PER, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._events = events
        self._failures = Failures(count, per)
        self._now = now

    def failed(self, refusal: Refusal, address: str | None, header: bytes) -> Refusal:
        """The refusal, or that there were too many. `header` is what was tried; nothing of it is told but the public id
        of an API key."""
        tried = key_id(header)
        wait = self._failures.failed(address, tried, self._now())
        if wait:
            return Refusal(429, "too many failed attempts", ((b"retry-after", retry_after(wait)),))
        # One line and one event for each that is not throttled, so that nobody can fill a disk.
        log.warning("a token was not accepted: address=%s key=%s", address, tried)
        self._events.send(Event("caller.refused", {"address": address, "key": tried, "credentials": True}))
        return refusal
