"""The engine of a server process, from the moment it is loaded."""

from __future__ import annotations

from datetime import datetime

from policyengine.engine import Engine
from policyengine.server.errors import RequestError
from policyengine.workers.sibling import Sibling


class EngineSlot:
    """`engine` is None until the first load has succeeded; from then on it always answers."""

    def __init__(self) -> None:
        self.engine: Engine | None = None
        # This worker among its siblings; None for a service of one process.
        self.sibling: Sibling | None = None

    @property
    def degraded(self) -> dict[str, datetime]:
        """What is wrong, and since when: `refused`, newer policies are broken; `not_watched`, changes of files are not
        reported, so the files are polled."""
        if self.engine is None:
            return {}
        watcher, refused = self.engine.watcher, self.engine.last_reload.since
        since_when = {} if refused is None else {"refused": refused}
        if watcher is not None and (lost := watcher.unwatched) is not None:
            since_when["not_watched"] = lost.since
        return since_when

    def ready(self) -> Engine:
        """The engine. Raises RequestError (503) before the first load."""
        if self.engine is None:
            raise RequestError(503, "no policies are loaded yet")
        return self.engine
