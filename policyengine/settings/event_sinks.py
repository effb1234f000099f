"""The event sinks from the settings: the log, webhooks, and the counts for the metrics."""

from __future__ import annotations

from dataclasses import dataclass

from policyengine.events.sink import Everywhere
from policyengine.events.sinks.counts import Counts
from policyengine.events.sinks.lines import Lines
from policyengine.events.sinks.webhook import WebhookSink
from policyengine.settings.model import Events


@dataclass(frozen=True, slots=True)
class EventSinks:
    """The sinks of one service. `everybody` is all of them."""

    counts: Counts
    webhooks: tuple[WebhookSink, ...]
    everybody: Everywhere


def telling(settings: Events) -> EventSinks:
    """The sinks. Nothing is started before the first event."""
    counts = Counts()
    webhooks = tuple(
        WebhookSink(each.url, each.secret.get_secret_value(), kinds=each.kinds, queue=each.queue)
        for each in settings.webhooks
        if each.secret is not None
    )
    lines = [Lines()] if settings.log else []
    return EventSinks(counts, webhooks, Everywhere([counts, *lines, *webhooks]))
