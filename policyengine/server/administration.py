"""Who may administer the service: the policies of `admin.pol`, or those that the settings name, decide.

In: a caller and an action. Out: a decision, by the same engine that answers all other requests. The policies are read
once, when the service starts. If they declare the action `ask`, they also decide about every request: see
`rate_limits.py`.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from policyengine.bundle import InvalidPolicies, Snapshot
from policyengine.callers.caller import Caller
from policyengine.engine import Engine
from policyengine.model.decision import Decision
from policyengine.settings.loading import WrongSettings

BUILT_IN = Path(__file__).with_name("admin.pol")
_SERVICE = {"type": "DecisionService", "id": "pdp"}


class Administration:
    """Raises WrongSettings for policies that cannot be used."""

    def __init__(self, policies: Path | None) -> None:
        try:
            self._engine = Engine.load(policies or BUILT_IN, cache=False)
        except InvalidPolicies as error:
            first = next(iter(error.diagnostics), None)
            raise WrongSettings(f"`admin_policies`: {first.message if first is not None else 'invalid'}") from None

    @property
    def snapshot(self) -> Snapshot:
        return self._engine.snapshot

    def decide(self, caller: Caller, action: str, *, grants: Collection[str] | None = None) -> Decision:
        """Whether the caller may do it. Only an `allowed` decision counts: nothing here fulfils an obligation. `grants`
        are the scopes of a key whose text the caller would see."""
        principal = principal_of(caller)
        context = {} if grants is None else {"grants": sorted(grants)}
        return self._engine.decide(principal=principal, action=action, resource=_SERVICE, context=context)


def principal_of(caller: Caller) -> dict[str, Any]:
    """The caller as policies see it."""
    principal: dict[str, Any] = {
        "type": "Caller", "id": caller.id, "kind": caller.kind, "scopes": sorted(caller.scopes)
    }  # fmt: skip
    return principal if caller.tenant is None else {**principal, "tenant": caller.tenant}
