"""The engine of a server process, from the moment it is loaded."""

from __future__ import annotations

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
    def is_told_of_changes(self) -> bool:
        """Whether changes of the policies are heard of, or are not asked for; else they are looked for."""
        watcher = self.engine.watcher if self.engine is not None else None
        return watcher is None or watcher.unwatched is None

    def ready(self) -> Engine:
        """The engine. Raises RequestError (503) before the first load."""
        if self.engine is None:
            raise RequestError(503, "no policies are loaded yet")
        return self.engine
