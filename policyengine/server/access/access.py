"""Requests for approval, put together: settings in; questions, routes and what runs beside them out."""

from __future__ import annotations

import asyncio
from functools import partial
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse

from policyengine.authzen.endpoints import ACCESS_REQUESTS, JWKS
from policyengine.engine import Engine
from policyengine.server.access.approval_page import ApprovalPage
from policyengine.server.access.callback import LOOK, Callbacks
from policyengine.server.access.request_hints import AccessHints
from policyengine.server.access.signing import Signer, UnusableKey, generated, key_file, keys_of
from policyengine.server.access.submission import Submissions
from policyengine.server.access.task_status import TaskCalls
from policyengine.server.bind import Binding
from policyengine.server.engine_slot import EngineSlot
from policyengine.server.errors import RequestError
from policyengine.server.pipeline import Question
from policyengine.server.thread_pools import ThreadPools
from policyengine.settings.loading import WrongSettings
from policyengine.settings.model import Settings

# How many seconds a client that waits for an approval should wait before it asks again.
PAUSE = 5
# The name under which a generated key is kept with the state.
KEY = "signing-key"


class Access:
    """One service's. Raises WrongSettings for a key file that cannot be used."""

    def __init__(self, settings: Settings, slot: EngineSlot, binding: Binding, threads: ThreadPools) -> None:
        self.desk = AccessHints(settings.public_url)
        self._slot = slot
        self._threads = threads
        self._callbacks = Callbacks(settings.approvals.callbacks, self.desk)
        self._submissions = Submissions(self.desk, binding, self._callbacks)
        self._tasks = TaskCalls(self.desk)
        base = urlsplit(settings.public_url or "").path
        self._page = ApprovalPage(slot, settings.page_key.get_secret_value().encode(), base, threads)
        path = settings.approvals.signing_key_file
        try:
            self._keys = key_file(path) if path is not None else None
        except UnusableKey as error:
            raise WrongSettings(f"`approvals.signing_key_file`: {error}") from None

    def open(self, engine: Engine) -> None:
        """From now on approvals can be requested, if the service has an address for that. Raises StoreError."""
        if self.desk.public_url is not None:
            keys = self._keys if self._keys is not None else keys_of(engine.keep(KEY, generated()))
            self.desk.signer = Signer(self.desk.public_url, keys)

    async def run(self) -> None:
        """Notifies requesters with callbacks of the end of their requests, until it is cancelled."""
        while self._callbacks.known:
            await asyncio.sleep(LOOK)
            await asyncio.to_thread(self._callbacks.look, self._slot.ready())

    def close(self) -> None:
        self._callbacks.stopping.set()

    def questions(self) -> dict[str, Question]:
        # They wait for a store.
        return {
            ACCESS_REQUESTS: Question("access_request", self._submissions, thread_body=0, kind="waiting", headed=True)
        }

    def cancellation(self, path: str) -> Question | None:
        """The question at the path that cancels a task."""
        id_, slash, rest = path.removeprefix(f"{ACCESS_REQUESTS}/").partition("/")
        if not path.startswith(f"{ACCESS_REQUESTS}/") or not slash or rest != "cancel" or not id_:
            return None
        cancel = self._tasks.cancel
        return Question(
            "access_cancel",
            lambda engine, body, caller: cancel(engine, id_, body, caller),
            thread_body=0,
            kind="waiting",
            bare=True,
        )

    def add_routes(self, app: Starlette) -> None:
        app.add_route(f"{ACCESS_REQUESTS}/{{id}}", self._status, methods=["GET"], name="access_status")
        app.add_route(JWKS, self._jwks, methods=["GET"], name="jwks")
        self._page.add_routes(app)

    async def _status(self, request: Request) -> JSONResponse:
        show = partial(self._tasks.show, self._slot.ready(), request.path_params["id"], request.scope["caller"])
        status = await self._threads.run("waiting", show)
        wait = {"retry-after": str(PAUSE)} if status["task"]["status"] == "pending" else {}
        return JSONResponse(status, headers=wait)

    async def _jwks(self, request: Request) -> JSONResponse:
        if self.desk.signer is None:
            raise RequestError(404, "this service signs nothing")
        return JSONResponse(self.desk.signer.public(), headers={"cache-control": "max-age=300"})
