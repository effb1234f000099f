"""Events as lines of the log: one each, in the form that the log has; JSON, in a service."""

from __future__ import annotations

from typing import Any

from policyengine.events.event import Event
from policyengine.lazy_import import logger


class Lines:
    """Writes to the logger `policyengine.events`."""

    def __init__(self) -> None:
        self._log: Any = logger("policyengine.events")

    def send(self, event: Event) -> None:
        data = {name: list(value) if isinstance(value, tuple) else value for name, value in event.fields.items()}
        self._log.info("event", kind=event.kind, id=event.id, time=event.time, tenant=event.tenant, data=data)

    def close(self) -> None:
        """Nothing to close."""
