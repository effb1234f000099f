"""What became of a reload, and what people are told of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from policyengine.diagnostics.diagnostic import Diagnostic
from policyengine.events.event import Event


@dataclass(frozen=True, slots=True)
class Reload:
    """What became of a reload. When it is not ok, the last good snapshot goes on answering. `meters_anew` are the
    limits that count from nothing again: what they counted before was something else. `since` is when the files were
    first found to be broken that still are."""

    ok: bool
    revision: str
    diagnostics: tuple[Diagnostic, ...]
    meters_anew: tuple[str, ...] = ()
    since: datetime | None = None


def event_of(reload: Reload) -> Event:
    if reload.ok:
        return Event("policies.loaded", {"revision": reload.revision, "meters_anew": reload.meters_anew})
    errors = tuple(sorted({diagnostic.code.id for diagnostic in reload.diagnostics if diagnostic.is_error}))
    return Event("policies.refused", {"revision": reload.revision, "errors": errors})
