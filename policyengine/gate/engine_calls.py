"""The methods of its engine that a session calls, with the engine's signatures."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from msgspec import Struct

from policyengine.bundle import Snapshot
from policyengine.gate.session_needs import SessionNeeds
from policyengine.release.inspection import Inspection
from policyengine.release.release_stream import ReleaseStream
from policyengine.release.released import Admitted, Released
from policyengine.state.grant import Grant
from policyengine.state.session_calls import Sessions


class EngineCalls(Struct, frozen=True):
    authorize: Callable[..., Grant]
    authorize_async: Callable[..., Awaitable[Grant]]
    release: Callable[..., Released]
    release_async: Callable[..., Awaitable[Released]]
    release_stream: Callable[..., ReleaseStream]
    admit: Callable[..., Admitted]
    admit_async: Callable[..., Awaitable[Admitted]]
    sessions: Callable[[], Sessions]
    snapshot: Callable[[], Snapshot]
    asked_for: Callable[[], SessionNeeds]
    inspection: Inspection
