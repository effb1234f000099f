"""What the process has done, counted for Prometheus.

The counts are plain integers that the event loop alone writes: the client library's own counters lock and look up
labels each time, which costs more than a decision. Each worker process counts for itself.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from policyengine.model.decision import Decision

_BOUNDS = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5)
_BUCKETS = (*map(str, _BOUNDS), "+Inf")


class Tally:
    """The counts since the process started."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, int]] = Counter()
        self.seconds: dict[str, list[float]] = {}
        self.answers = {"allow": 0, "deny": 0, "error": 0}
        self.reloads = {"ok": 0, "failed": 0}

    def request(self, endpoint: str, status: int, seconds: float) -> None:
        self.requests[endpoint, status] += 1
        counts = self.seconds.get(endpoint)
        if counts is None:
            # One count for each bucket, then the sum.
            counts = self.seconds[endpoint] = [0.0] * (len(_BUCKETS) + 1)
        counts[bisect_left(_BOUNDS, seconds)] += 1
        counts[-1] += seconds

    def decisions(self, decided: Sequence[tuple[Any, Decision]], failed: int) -> None:
        for _, decision in decided:
            self.answers[decision.decision] += 1
        self.answers["error"] += failed

    def reload(self, ok: bool) -> None:
        self.reloads["ok" if ok else "failed"] += 1


class _Collected(Collector):
    def __init__(self, tally: Tally) -> None:
        self.tally = tally

    def collect(self) -> Iterable[Metric]:
        tally = self.tally
        yield _counter(
            "policyengine_decisions",
            "Decisions, by answer; error counts the items of batches that were no requests.",
            ("decision",),
            {(name,): count for name, count in tally.answers.items()},
        )
        yield _counter(
            "policyengine_requests",
            "Requests for decisions, by endpoint and HTTP status.",
            ("endpoint", "status"),
            {(endpoint, str(status)): count for (endpoint, status), count in tally.requests.items()},
        )
        yield _counter(
            "policyengine_reloads",
            "Attempts to load changed policies, by outcome.",
            ("outcome",),
            {(name,): count for name, count in tally.reloads.items()},
        )
        yield self._seconds()

    def _seconds(self) -> Metric:
        family = HistogramMetricFamily(
            "policyengine_request_seconds", "From the start of a request to its answer.", labels=("endpoint",)
        )
        for endpoint, counts in self.tally.seconds.items():
            total, buckets = 0.0, []
            for name, count in zip(_BUCKETS, counts, strict=False):
                total += count
                buckets.append((name, total))
            family.add_metric((endpoint,), buckets, counts[-1])
        return family


def _counter(name: str, text: str, labels: Sequence[str], counts: dict[tuple[str, ...], int]) -> Metric:
    family = CounterMetricFamily(name, text, labels=labels)
    for values, count in counts.items():
        family.add_metric(values, count)
    return family


def registry(tally: Tally) -> CollectorRegistry:
    """The metrics of one app, with those of its process."""
    made = CollectorRegistry()
    made.register(_Collected(tally))
    ProcessCollector(registry=made)
    PlatformCollector(registry=made)
    return made


def exposition(made: CollectorRegistry) -> bytes:
    """The Prometheus text format, version 0.0.4."""
    return generate_latest(made)
