"""Whether the process is alive, and which policies are in force.

`/healthz`  200 while the process serves at all.
`/readyz`   503 before the first load; then 200, always, as a broken change never stops the last good policies. After
            one `status` is `degraded` since `since`, and `diagnostics` says what is wrong with the files that are
            there now. Where nobody says when they change, `not_watched` says since when, why, and which cannot be
            watched. Of several workers it speaks for all.
"""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import FastAPI, Request, Response, status

from policyengine.authzen.answers import Health, NotWatched, Readiness, WorkerState
from policyengine.diagnostics import render
from policyengine.engine import Engine
from policyengine.server.engine_slot import EngineSlot
from policyengine.workers.protocol import time_of
from policyengine.workers.sibling import Everybody


def add_routes(app: FastAPI, slot: EngineSlot) -> None:
    @app.get("/healthz", tags=["operation"], summary="Is the process alive")
    async def healthz() -> Health:
        return Health(status="ok")

    @app.get(
        "/readyz",
        tags=["operation"],
        summary="Which policies answer, and is anything wrong with newer ones",
        response_model_exclude_none=True,
        responses={503: {"model": Readiness, "description": "No policies are loaded yet"}},
    )
    async def readyz(request: Request, response: Response) -> Readiness:
        if slot.engine is None:
            response.status_code = status.HTTP_503_SERVICE_UNAVAILABLE
            return Readiness(status="loading")
        everybody = await asyncio.to_thread(slot.sibling.everybody) if slot.sibling is not None else None
        own = own_state(slot.engine)
        readiness = own if everybody is None else of_all(own, everybody)
        # Paths and names are only for callers that may know them.
        return readiness if "admin" in request.scope["caller"].scopes else _public(readiness)


def own_state(engine: Engine) -> Readiness:
    """The state of one worker."""
    last = engine.last_reload
    return Readiness(
        status="ready" if last.ok else "degraded",
        revision=engine.revision,
        since=time_of(last.since) if last.since is not None else None,
        diagnostics=None if last.ok else [render.as_json(each) for each in last.diagnostics[:MOST_DIAGNOSTICS]],
        not_watched=_not_watched(engine),
    )


# If there are very many, they most likely have the same cause.
MOST_DIAGNOSTICS = 1_000


def of_all(own: Readiness, everybody: Everybody) -> Readiness:
    """The state of all workers together: one that is not well makes it `degraded`."""
    reports = everybody.workers
    missing = max(0, everybody.wanted - sum(each["answers"] for each in reports))
    revisions = {each["revision"] for each in reports}
    well = not missing and len(revisions) <= 1 and all(each["status"] == "ready" for each in reports)
    return Readiness(
        status="ready" if well else "degraded",
        revision=own.revision,
        since=None
        if well
        else min(filter(None, [everybody.since, *(each.get("since") for each in reports)]), default=None),
        diagnostics=_first(reports, "diagnostics"),
        not_watched=_first(reports, "not_watched"),
        workers=[
            WorkerState(
                status=each["status"] if each["answers"] else "unknown",
                revision=each["revision"],
                since=each.get("since"),
                pid=each["pid"],
            )
            for each in reports
        ],
        workers_missing=missing or None,
    )


def _first(reports: list[dict[str, Any]], what: str) -> Any:
    return next((each[what] for each in reports if each.get(what)), None)


def _public(found: Readiness) -> Readiness:
    lost = NotWatched(since=found.not_watched.since) if found.not_watched is not None else None
    workers = [each.model_copy(update={"pid": None}) for each in found.workers] if found.workers is not None else None
    return found.model_copy(update={"diagnostics": None, "not_watched": lost, "workers": workers})


def _not_watched(engine: Engine) -> NotWatched | None:
    lost = engine.watcher.unwatched if engine.watcher is not None else None
    if lost is None:
        return None
    return NotWatched(since=time_of(lost.since), why=lost.why, sources=list(lost.sources))
