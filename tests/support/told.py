"""A sink that keeps the events it is told."""

from __future__ import annotations

from policyengine.events.event import Event


class Told:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def send(self, event: Event) -> None:
        self.events.append(event)

    def close(self) -> None:
        """Nothing to close."""
