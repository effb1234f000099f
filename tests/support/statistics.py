"""How often what happens under generated policies. `python -m tests.support.statistics` prints it."""

from __future__ import annotations

import sys
from collections import Counter

from hypothesis import HealthCheck, Phase, given, settings

from policyengine.evaluate.decide import verdicts
from policyengine.evaluate.interpret import Env
from policyengine.model.request import request
from policyengine.model.values import Fault
from tests.support.evaluators import reference
from tests.support.scenarios import Scenario, scenarios


class Seen:
    """Counts of what came up."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def add(self, what: str, how: str, times: int = 1) -> None:
        self.counts[what] += times
        self.counts[f"{what}, {how}"] += times

    def share(self, what: str, of: str) -> float:
        return self.counts[what] / max(1, self.counts[of])


def measure(examples: int) -> Seen:
    """What becomes of this many generated policies with two well-typed and two hostile requests each."""
    seen = Seen()

    @settings(
        max_examples=examples, phases=[Phase.generate], database=None, deadline=None,
        suppress_health_check=list(HealthCheck), derandomize=True,
    )  # fmt: skip
    @given(scenarios())
    def run(scenario: Scenario) -> None:
        snapshot = scenario.snapshot()
        for how, asked in zip(("well-typed", "well-typed", "hostile", "hostile"), scenario.requests, strict=True):
            decision = reference(snapshot, asked)
            seen.add("decisions", how)
            seen.add(decision.decision, how)
            seen.add("owing", how, bool(decision.obligations))
            for error in decision.errors:
                seen.add(error.code, how)
            try:
                understood = request(**asked)
            except Fault:
                continue
            found = verdicts(snapshot.policies.rules, Env(understood, snapshot.world))
            seen.add("rules", how, len(snapshot.policies.rules))
            seen.add("held", how, len(found.held))
            seen.add("erred", how, len(found.erred))

    run()
    return seen


if __name__ == "__main__":
    for name, count in sorted(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 1000).counts.items()):
        sys.stdout.write(f"{count:7} {name}\n")
