"""Is the process alive, and which policies answer.

`/healthz`  200 while the process serves at all.
`/readyz`   503 before the first load; then 200, always, as a broken change never stops the last good policies. After
            one `status` is `degraded`, and `diagnostics` says what is wrong with the files that are there now. Where
            nobody says when they change, `not_watched` says since when and why.
"""

from __future__ import annotations

from fastapi import FastAPI, Request, Response, status

from policyengine.authzen.answers import Health, NotWatched, Readiness
from policyengine.diagnostics import render
from policyengine.server.pdp import Pdp


def add_routes(app: FastAPI, pdp: Pdp) -> None:
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
        if pdp.engine is None:
            response.status_code = status.HTTP_503_SERVICE_UNAVAILABLE
            return Readiness(status="loading")
        revision = pdp.engine.snapshot.revision
        last = pdp.engine.last_reload
        # Paths and names are for those who may know them.
        told = "admin" in request.scope["caller"].scopes
        lost = _not_watched(pdp, told)
        if last.ok:
            return Readiness(status="ready", revision=revision, not_watched=lost)
        diagnostics = [render.as_json(each) for each in last.diagnostics] if told else None
        return Readiness(status="degraded", revision=revision, diagnostics=diagnostics, not_watched=lost)


def _not_watched(pdp: Pdp, told: bool) -> NotWatched | None:
    watcher = pdp.engine.watcher if pdp.engine is not None else None
    lost = watcher.unwatched if watcher is not None else None
    if lost is None:
        return None
    since = lost.since.isoformat(timespec="seconds")
    return NotWatched(since=since, why=lost.why, sources=list(lost.sources)) if told else NotWatched(since=since)
