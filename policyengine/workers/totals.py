"""Counts of several processes, added up.

A family is `[name, type, text, samples]`, as Prometheus has it, and a sample `[name, labels, value]`. What is counted
is added up, over processes that have ended too; so is what is measured, but for what is only true if it is true of all.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Families = list[list[Any]]

# The least of all, as one that is not well is what matters; of versions and limits, any.
_LEAST = frozenset({
    "policyengine_policies_current", "policyengine_sources_watched", "policyengine_degraded_since_seconds",
    "process_start_time_seconds", "process_max_fds", "python_info",
})  # fmt: skip
_LASTING = frozenset({"counter", "histogram"})


def summed(processes: Iterable[Families]) -> Families:
    """One family for each name, in the order in which they first come."""
    families: dict[str, list[Any]] = {}
    values: dict[str, dict[tuple[Any, ...], float]] = {}
    for process in processes:
        for name, kind, text, samples in process:
            families.setdefault(name, [name, kind, text])
            of = values.setdefault(name, {})
            for sample, labels, value in samples:
                key = (sample, *sorted(labels.items()))
                if key not in of:
                    of[key] = value
                else:
                    of[key] = min(of[key], value) if name in _LEAST else of[key] + value
    return [
        [*family, [[key[0], dict(key[1:]), value] for key, value in values[name].items()]]
        for name, family in families.items()
    ]


def lasting(families: Families) -> Families:
    """Those that go on to count when a process has ended."""
    return [each for each in families if each[1] in _LASTING]
