"""policyengine: policy-as-code authorization for AI systems.

from policyengine import Engine

engine = Engine.load("policies/")
decision = engine.decide(principal=..., action="retrieve", resource=..., context=...)
if decision.allowed:
    ...
"""

from policyengine.bundle import InvalidPolicies, Snapshot
from policyengine.diagnostics.diagnostic import Diagnostic
from policyengine.engine import Engine
from policyengine.guard import Denied, enforce, guard
from policyengine.model.decision import Approval, Decision, Obligation, RuleError, Trial
from policyengine.release.released import NotReleased
from policyengine.state.reloads import Reload
from policyengine.watch import Watcher

__all__ = [
    "Approval",
    "Decision",
    "Denied",
    "Diagnostic",
    "Engine",
    "InvalidPolicies",
    "NotReleased",
    "Obligation",
    "Reload",
    "RuleError",
    "Snapshot",
    "Trial",
    "Watcher",
    "enforce",
    "guard",
]
