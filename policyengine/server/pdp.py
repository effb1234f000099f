"""The engine of a server process, from the moment it is loaded."""

from __future__ import annotations

from policyengine.engine import Engine
from policyengine.server.errors import RequestError


class Pdp:
    """`engine` is None until the first load has succeeded; from then on it always answers."""

    def __init__(self) -> None:
        self.engine: Engine | None = None

    def ready(self) -> Engine:
        """The engine. Raises RequestError (503) before the first load."""
        if self.engine is None:
            raise RequestError(503, "no policies are loaded yet")
        return self.engine
