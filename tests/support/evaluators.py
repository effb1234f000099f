"""Everything that answers a request: each takes a snapshot and the keywords of `Engine.decide`.

`reference` is the interpreter, `fast_decide` is what callers get, `FAST` are the kinds of it, depending on what
has been built. They are equal by law.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from policyengine.bundle import Snapshot
from policyengine.compile.evaluator import Evaluator
from policyengine.compile.native import NATIVE
from policyengine.evaluate.combine import denied
from policyengine.evaluate.decide import decide
from policyengine.model.decision import Decision, RuleError
from policyengine.model.request import request
from policyengine.model.values import Fault


def reference(snapshot: Snapshot, asked: Mapping[str, Any], approved: Collection[str] = ()) -> Decision:
    """The specification: every rule, by the interpreter."""
    try:
        understood = request(asked.get("principal"), asked.get("action"), asked.get("resource"), asked.get("context"))
    except Fault as fault:
        return denied(RuleError("", fault.code, fault.message), snapshot.revision)
    return decide(snapshot.policies, snapshot.schema, snapshot.world, understood, approved, snapshot.revision)


def fast_decide(snapshot: Snapshot, asked: Mapping[str, Any], approved: Collection[str] = ()) -> Decision:
    """The generated code."""
    parts = (asked.get("principal"), asked.get("action"), asked.get("resource"), asked.get("context"))
    return snapshot.evaluator.decide(*parts, approved)


# With the checks in C, where they have been built, and without.
FAST = ("native", "python") if NATIVE is not None else ("python",)


def evaluator(snapshot: Snapshot, kind: str) -> Evaluator:
    """A new one, which remembers nothing yet, of a kind in FAST."""
    parts = (snapshot.policies, snapshot.schema, snapshot.world, snapshot.revision)
    return Evaluator(*parts, native=NATIVE if kind == "native" else None)
