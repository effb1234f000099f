"""Notifies requesters of the end of their requests: a signed POST to an address that the settings name.

A submission may name only an address that the settings have for this caller; an address in a private network also
needs their permission. A callback is only a notice: the status endpoint has the result. Every process looks for due
callbacks and claims them in the store, so that one process sends each, also after a crash.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from threading import Event as Flag
from typing import Any
from urllib.parse import urlsplit

import structlog

from policyengine.authzen.endpoints import ACCESS_REQUESTS
from policyengine.callers.caller import Caller
from policyengine.engine import Engine
from policyengine.events.sinks.webhook import NeverTaken, client, post, secret_key
from policyengine.server.access.request_hints import AccessHints
from policyengine.settings.model import Callback
from policyengine.state.approval_calls import ApprovalError
from policyengine.state.approval_tasks import Task
from policyengine.state.store import StoreError

log = structlog.get_logger("policyengine.server")

# How often due callbacks are looked for, in seconds.
LOOK = 1.0
# How many seconds a process has a callback to itself; it stops trying earlier.
CLAIM = 120.0
ATTEMPTS = 6
TIMEOUT = 10.0
LONGEST_PAUSE = 15.0
LONGEST_STATE = 1_024
EVENTS = frozenset({"approved", "denied", "expired", "cancelled", "failed", "partial"})


class NotAllowed(ValueError):
    """A callback that this service does not make."""


@dataclass(frozen=True, slots=True)
class Callbacks:
    """The addresses that may be called."""

    known: Sequence[Callback]
    desk: AccessHints
    stopping: Flag = field(default_factory=Flag)
    pause: float = 0.5

    def wanted(self, given: Any, caller: Caller) -> str:
        """What the store keeps of a `callback`. Raises NotAllowed."""
        if type(given) is not dict or not isinstance(given.get("endpoint"), str):
            raise NotAllowed("`callback.endpoint` must be a text")
        state, events = given.get("state"), given.get("events", [])
        if not isinstance(state, str | None) or (state is not None and len(state) > LONGEST_STATE):
            raise NotAllowed(f"`callback.state` must be a text of at most {LONGEST_STATE} characters")
        if type(events) is not list or not all(isinstance(each, str) for each in events):
            raise NotAllowed("`callback.events` must be a list of names")
        place = self._place(given["endpoint"])
        if place is None or (place.callers and caller.id not in place.callers):
            raise NotAllowed("`callback.endpoint` is not one that this service may call for this caller")
        if not place.internal and _is_internal(place.url):
            raise NotAllowed("`callback.endpoint` leads into a private network")
        kept = {"endpoint": place.url, "events": [each for each in events if each in EVENTS]}
        return json.dumps(kept if state is None else {**kept, "state": state})

    def _place(self, url: str) -> Callback | None:
        return next((each for each in self.known if each.url == url), None)

    # ---- telling ----

    def look(self, engine: Engine) -> int:
        """Sends all due callbacks, and returns their number. Never raises if the store is unavailable."""
        if not self.known:
            return 0
        sent = 0
        try:
            for task in engine.approvals.untold():
                if self.stopping.is_set():
                    break
                claimed = engine.approvals.claim(task.id, CLAIM)
                if claimed is not None and self._tell(claimed):
                    engine.approvals.claim(task.id, 0)
                    sent += 1
        except StoreError as error:
            log.warning("due callbacks cannot be read", problem=str(error))
        except ApprovalError:
            # It no longer exists.
            return sent
        return sent

    def _tell(self, task: Task) -> bool:
        """Whether nothing is left to send; False if this process ends before the callback was accepted."""
        wanted: Mapping[str, Any] = json.loads(task.callback)
        place = self._place(wanted["endpoint"])
        if place is None or place.secret is None or (wanted["events"] and task.status not in wanted["events"]):
            return True
        if not place.internal and _is_internal(place.url):
            log.warning("callback not sent", task=task.id, problem="it leads into a private network")
            return True
        status = {
            "id": task.id,
            "status": task.status,
            "status_endpoint": f"{self.desk.public_url}{ACCESS_REQUESTS}/{task.id}",
        }
        body = {"task": status} | ({"state": wanted["state"]} if "state" in wanted else {})
        content = json.dumps(body, separators=(",", ":")).encode()
        key = secret_key(place.secret.get_secret_value())
        try:
            with client(TIMEOUT) as http:
                post(
                    http, place.url, key, task.id, content,
                    attempts=ATTEMPTS, pause=self.pause, longest=LONGEST_PAUSE, over=self.stopping,
                )  # fmt: skip
        except NeverTaken:
            # The status endpoint says the same.
            log.warning("callback not sent", task=task.id, problem="it was not taken")
            return not self.stopping.is_set()
        return True


def _is_internal(url: str) -> bool:
    """Whether an address is not on the public internet; an address that does not resolve counts as internal."""
    parts = urlsplit(url)
    try:
        addresses = socket.getaddrinfo(parts.hostname, parts.port or 443, type=socket.SOCK_STREAM)
    except OSError:
        return True
    return not addresses or not all(ip_address(str(each[4][0]).partition("%")[0]).is_global for each in addresses)
