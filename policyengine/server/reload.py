"""`POST /v1/admin/reload`: the policies and entities are read again, now, for administrators.

Broken policies change nothing: the last good ones stay in force, and the answer says what is wrong. With several worker
processes, all read again, and swap on one signal.
"""

from __future__ import annotations

from collections.abc import Callable

from policyengine.authzen import read
from policyengine.authzen.answers import Readiness
from policyengine.authzen.errors import Malformed
from policyengine.callers.caller import Caller
from policyengine.diagnostics import render
from policyengine.engine import Engine
from policyengine.server import encode
from policyengine.server.pipeline import Answer
from policyengine.state.reloads import Reload
from policyengine.workers.protocol import time_of


def reload(
    engine: Engine, body: bytes, caller: Caller, *, gate_tests: bool, on_reload: Callable[[Reload], None]
) -> Answer:
    """The same answer as `/readyz`. `on_reload` is called with the attempt. Raises Malformed."""
    if body.strip() and read.json_object(body):
        raise Malformed("a reload takes no members: leave the body empty")
    reloaded = engine.reload(gate_tests=gate_tests)
    on_reload(reloaded)
    answer = Readiness(
        status="ready" if reloaded.ok else "degraded",
        revision=reloaded.revision,
        since=time_of(reloaded.since) if reloaded.since is not None else None,
        diagnostics=None if reloaded.ok else [render.as_json(each) for each in reloaded.diagnostics],
    )
    return encode.value_body(answer.model_dump(exclude_none=True)), (), 0
