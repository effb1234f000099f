"""What became of a text, for people: an event of the current span of OpenTelemetry, and one for everybody where a
canary was found. Without values.

Where `opentelemetry-api` (extra `tracing`) is not installed, or nobody records a span, nothing is traced.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TypeVar

from policyengine.detect.content.canary import NAME as CANARY
from policyengine.events.event import Event, Field
from policyengine.events.sink import Sink
from policyengine.late import is_installed, library
from policyengine.release.looking import Found
from policyengine.release.outcome import Released

trace = library("opentelemetry.trace")

R = TypeVar("R", bound=Released)
# So many kinds are named.
MOST_KINDS = 32


def kinds_and_counts(findings: Iterable[Found]) -> str:
    """`email=2, phone=1`."""
    counted = Counter(one.kind for one in findings)
    return ", ".join(f"{kind}={count}" for kind, count in sorted(counted.items())[:MOST_KINDS])


def told(step: str, released: R, events: Sink, tenant: str) -> R:
    """`step` is the action. Gives back what it is given."""
    canaries = [one.detector.partition(":")[2] for one in released.findings if one.kind == CANARY]
    if canaries:
        fields: dict[str, Field] = {
            "action": step, "found": len(canaries), "canaries": tuple(sorted({*canaries} - {""})),
            "released": released.allowed, "decision": released.decision.decision,
        }  # fmt: skip
        events.send(Event("canary.found", fields, tenant))
    return traced(step, released)


def traced(step: str, released: R) -> R:
    """`step` is the action: what was done with the text is told of it. Gives back what it is given."""
    if not is_installed("opentelemetry"):
        return released
    span = trace.get_current_span()
    if span.is_recording():
        decision = released.decision
        span.add_event(
            f"policyengine.{step}",
            {
                "policyengine.released": released.allowed,
                "policyengine.decision": decision.decision,
                "policyengine.revision": decision.revision,
                "policyengine.rules": list(decision.determining),
                "policyengine.errors": sorted({one.code for one in (*decision.errors, *released.errors)}),
                "policyengine.findings": kinds_and_counts(released.findings),
                "policyengine.tried": [one.rule for one in decision.tried],
            },
        )
    return released
