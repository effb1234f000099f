"""What a sink is: somewhere that events go."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from policyengine.events.event import Event
from policyengine.lazy_import import logger

log = logger(__name__)


class Sink(Protocol):
    """`send` returns at once, from any thread, and raises nothing: what cannot be told is dropped and counted. `close`
    tells what is still to be told, within a bound, and nothing after it."""

    def send(self, event: Event) -> None: ...

    def close(self) -> None: ...


class Nowhere:
    """Tells nobody."""

    def send(self, event: Event) -> None:
        """It is dropped."""

    def close(self) -> None:
        """Nothing to close."""


class Everywhere:
    """Tells each of several sinks, whatever becomes of the others. A sink that raises although it must not is logged,
    and fails nobody."""

    def __init__(self, sinks: Iterable[Sink]) -> None:
        self._sinks = tuple(sinks)

    def send(self, event: Event) -> None:
        for sink in self._sinks:
            try:
                sink.send(event)
            except Exception:
                log.exception("event_not_sent", kind=event.kind)

    def close(self) -> None:
        for sink in self._sinks:
            try:
                sink.close()
            except Exception:
                log.exception("sink_not_closed")
