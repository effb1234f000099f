"""The result of a reload, and its report."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from policyengine.diagnostics.diagnostic import Diagnostic
from policyengine.events.event import Event


@dataclass(frozen=True, slots=True)
class Reload:
    """The result of a reload. If it is not ok, the last good snapshot stays in force. `meters_anew` are the limits that
    start counting again, because they counted something else before. `since` is when the files were first found to be
    broken, if they still are."""

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
