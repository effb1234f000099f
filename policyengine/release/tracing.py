"""Reports what happened to a text: as an event of the current span of OpenTelemetry, and as an event of the engine if a
canary was found. Without values.

If `opentelemetry-api` (extra `tracing`) is not installed, or no span is recorded, nothing is traced.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TypeVar

from policyengine.detect.content.canary import NAME as CANARY
from policyengine.events.event import Event, Field
from policyengine.events.sink import Sink
from policyengine.lazy_import import is_installed, library
from policyengine.release.released import Released
from policyengine.release.scanning import ContentFinding
from policyengine.release.treatment import Orders, orders

trace = library("opentelemetry.trace")

R = TypeVar("R", bound=Released)
# The most kinds that are named.
MOST_KINDS = 32
# What happened to a canary that was found.
LEFT, REMOVED, HELD = "left", "removed", "held"


def kinds_and_counts(findings: Iterable[ContentFinding]) -> str:
    """The number of findings by kind: `email=2, phone=1`."""
    counted = Counter(finding.kind for finding in findings)
    return ", ".join(f"{kind}={count}" for kind, count in sorted(counted.items())[:MOST_KINDS])


def reported(
    step: str, released: R, events: Sink, tenant: str, read: Orders | None = None, gone: Mapping[str, int] | None = None
) -> R:
    """Reports the result; `step` is the action. For a stream that ended early, `read` are the orders that were carried
    out until then, and `gone` is how far each of its texts may have left, by path. Returns `released`."""
    canaries = [finding for finding in released.findings if finding.kind == CANARY]
    if canaries:
        names = {finding.detector.partition(":")[2] for finding in canaries}
        fields: dict[str, Field] = {
            "action": step, "found": len(canaries), "canaries": tuple(sorted(names - {""})),
            "became": _became(canaries, released, read, gone), "decision": released.decision.decision,
        }  # fmt: skip
        events.send(Event("canary.found", fields, tenant))
    return traced(step, released)


def _became(
    canaries: list[ContentFinding], released: Released, read: Orders | None, gone: Mapping[str, int] | None
) -> str:
    """`left` if one of them, or a part of it, may have passed unchanged; `removed` if text without them has passed;
    `held` if neither they nor their replacements have passed."""
    if gone is not None:
        canaries = [finding for finding in canaries if gone.get(finding.path, 0) > finding.start]
    elif not released.allowed:
        canaries = []
    if not canaries:
        return HELD
    read = read if read is not None else orders(released.decision.obligations)
    if read.withhold is not None:
        return REMOVED
    covering = [finding for finding in released.findings if read.of(finding.kind) is not None]
    end = read.truncate if read.truncate is not None and not read.treatments else None
    for finding in canaries:
        covered = any(
            each.path == finding.path and each.start <= finding.start and finding.end <= each.end for each in covering
        )
        if not covered and (end is None or finding.start < end or finding.path):
            return LEFT
    return REMOVED


def traced(step: str, released: R) -> R:
    """Traces what happened to the text; `step` is the action. Returns `released`."""
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
                "policyengine.errors": sorted({error.code for error in (*decision.errors, *released.errors)}),
                "policyengine.findings": kinds_and_counts(released.findings),
                "policyengine.tried": [trial.rule for trial in decision.tried],
            },
        )
    return released
