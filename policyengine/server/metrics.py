"""Counts of what the process has done, for Prometheus.

The counts are plain integers that the event loop alone writes: the client library's own counters lock and look up
labels each time, which costs more than a decision. Each worker process counts for itself, and
shows what all have counted.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import accumulate
from typing import Any

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from policyengine.model.decision import Decision
from policyengine.server import log
from policyengine.settings.event_sinks import EventSinks
from policyengine.workers.sibling import Everybody
from policyengine.workers.totals import Families

_BOUNDS = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5)
_BUCKETS = (*map(str, _BOUNDS), "+Inf")


# What is wrong, and since when.
Degraded = Callable[[], Mapping[str, datetime]]


class Requests:
    """The requests to one endpoint: by status, and by the seconds they took."""

    __slots__ = ("buckets", "seconds", "statuses")

    def __init__(self) -> None:
        self.statuses: dict[int, int] = {200: 0}
        self.buckets = [0] * len(_BUCKETS)
        self.seconds = 0.0

    def __call__(self, status: int, seconds: float) -> None:
        """Counts one."""
        if status in self.statuses:
            self.statuses[status] += 1
        else:
            self.statuses[status] = 1
        self.buckets[bisect_left(_BOUNDS, seconds)] += 1
        self.seconds += seconds


class Tally:
    """The counts since the process started."""

    def __init__(self) -> None:
        self.endpoints: dict[str, Requests] = {}
        self.answers = {"allow": 0, "deny": 0, "error": 0}
        # By rule and outcome; bounded by the number of rules.
        self.tried = Counter[tuple[str, str]]()
        self.reloads = {"ok": 0, "failed": 0}
        self.refusals = {"absent": 0, "refused": 0, "throttled": 0}
        self.key_sets = {"ok": 0, "failed": 0}

    def endpoint(self, name: str) -> Requests:
        """The counts of one endpoint."""
        counts = self.endpoints.get(name)
        if counts is None:
            counts = self.endpoints[name] = Requests()
        return counts

    def decisions(self, decided: Sequence[tuple[Any, Decision]], failed: int) -> None:
        for _, decision in decided:
            self.answers[decision.decision] += 1
            for trial in decision.tried:
                would = "error" if trial.error is not None else trial.decision if trial.changes else "unchanged"
                self.tried[trial.rule, would] += 1
        if failed:
            self.answers["error"] += failed

    def decided_plainly(self, allowed: int, count: int) -> None:
        """Counts decisions with nothing else to count, and how many of them are allows."""
        self.answers["allow"] += allowed
        self.answers["deny"] += count - allowed

    def refusal(self, kind: str) -> None:
        self.refusals[kind] += 1

    def reload(self, ok: bool) -> None:
        self.reloads["ok" if ok else "failed"] += 1


class _Collected(Collector):
    def __init__(self, tally: Tally, sinks: EventSinks, degraded: Degraded) -> None:
        self.tally = tally
        self.degraded = degraded
        self.sinks = sinks

    def collect(self) -> Iterable[Metric]:
        tally = self.tally
        yield _counter(
            "policyengine_decisions",
            "Decisions, by answer; error counts the items of batches that were not requests.",
            ("decision",),
            {(name,): count for name, count in tally.answers.items()},
        )
        yield _counter(
            "policyengine_tried_rules",
            "What rules with `on match log` would have made of decisions.",
            ("rule", "would"),
            {(rule, would): count for (rule, would), count in tally.tried.items()},
        )
        yield _counter(
            "policyengine_requests",
            "Requests, by endpoint and HTTP status.",
            ("endpoint", "status"),
            {
                (name, str(status)): count
                for name, requests in tally.endpoints.items()
                for status, count in requests.statuses.items()
                if count
            },
        )
        yield _counter(
            "policyengine_reloads",
            "Attempts to load changed policies, by outcome.",
            ("outcome",),
            {(name,): count for name, count in tally.reloads.items()},
        )
        degraded = self.degraded()
        yield GaugeMetricFamily(
            "policyengine_policies_current",
            "1 if the current policy files are in force; 0 if they were refused, and earlier policies are in force.",
            value=float("refused" not in degraded),
        )
        yield GaugeMetricFamily(
            "policyengine_sources_watched",
            "1 if the system reports changes of files; 0 if files are only checked now and then.",
            value=float("not_watched" not in degraded),
        )
        since = GaugeMetricFamily(
            "policyengine_degraded_since_seconds",
            "Unix time since which policies have been refused, or changes of files are not reported.",
            labels=("what",),
        )
        for what, moment in degraded.items():
            since.add_metric((what,), moment.timestamp())
        yield since
        yield _counter(
            "policyengine_log_lines_dropped", "Log lines that could not be written.", (), {(): log.output.dropped}
        )
        yield _counter(
            "policyengine_authentication_failures",
            "Requests that could not be authenticated: without credentials, with wrong ones, and those told to wait.",
            ("kind",),
            {(name,): count for name, count in tally.refusals.items()},
        )
        yield _counter(
            "policyengine_key_set_readings",
            "Attempts to read the keys of issuers, by outcome.",
            ("outcome",),
            {(name,): count for name, count in tally.key_sets.items()},
        )
        yield _counter(
            "policyengine_events",
            "Events, by kind.",
            ("kind",),
            {(kind,): count for kind, count in sorted(self.sinks.counts.read().items())},
        )
        outcomes = Counter[str]()
        for webhook in self.sinks.webhooks:
            outcomes.update(webhook.read())
        yield _counter(
            "policyengine_webhook_events",
            "Events for webhooks: sent, or dropped as too many waited, no receiver took them, or the service ended.",
            ("outcome",),
            {(outcome,): count for outcome, count in outcomes.items()},
        )
        yield self._seconds()

    def _seconds(self) -> Metric:
        family = HistogramMetricFamily(
            "policyengine_request_seconds", "From the start of a request to its answer.", labels=("endpoint",)
        )
        for endpoint, requests in self.tally.endpoints.items():
            totals = zip(_BUCKETS, map(float, accumulate(requests.buckets)), strict=True)
            if any(requests.buckets):
                family.add_metric((endpoint,), list(totals), requests.seconds)
        return family


def _counter(name: str, text: str, labels: Sequence[str], counts: dict[tuple[str, ...], int]) -> Metric:
    family = CounterMetricFamily(name, text, labels=labels)
    for values, count in counts.items():
        family.add_metric(values, count)
    return family


def registry(tally: Tally, sinks: EventSinks, degraded: Degraded = dict) -> CollectorRegistry:
    """The metrics of one app, with those of its process."""
    made = CollectorRegistry()
    made.register(_Collected(tally, sinks, degraded))
    ProcessCollector(registry=made)
    PlatformCollector(registry=made)
    return made


def families(made: CollectorRegistry) -> Families:
    """The metrics as data, to be added up with those of other processes. From any thread."""
    while True:
        try:
            return [
                [
                    each.name,
                    each.type,
                    each.documentation,
                    [[sample.name, sample.labels, sample.value] for sample in each.samples],
                ]
                for each in made.collect()
            ]
        except RuntimeError:
            # Something was counted for the first time meanwhile.
            continue


def exposition_of_all(everybody: Everybody) -> bytes:
    """The metrics of all workers of a service, those that have ended included."""
    made = CollectorRegistry()
    made.register(_Added(everybody))
    return generate_latest(made)


class _Added(Collector):
    def __init__(self, everybody: Everybody) -> None:
        self.everybody = everybody

    def collect(self) -> Iterable[Metric]:
        for name, kind, text, samples in self.everybody.counts:
            metric = Metric(name, text, kind)
            for sample, labels, value in samples:
                metric.add_sample(sample, labels, value)
            yield metric
        workers = self.everybody.workers
        counts = {"wanted": self.everybody.wanted, "answering": sum(each["answers"] for each in workers)}
        yield _gauge(
            "policyengine_workers", "Worker processes: how many are wanted, and how many answer.", "state", counts
        )
        revisions = Counter(str(each["revision"]) for each in workers)
        yield _gauge(
            "policyengine_worker_revisions",
            "Worker processes, by the revision that they answer with.",
            "revision",
            revisions,
        )


def _gauge(name: str, text: str, label: str, counts: Mapping[str, int]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=(label,))
    for value, count in counts.items():
        family.add_metric((value,), count)
    return family
