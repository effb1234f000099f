"""Written rules as policies: what is right passes, and what is not does not.

    python -m bench.tau [--part train|test] [--show]

The ground truth of tau2-bench's airline and retail is replayed through a session of the gate; then each change of it is
proposed in a wrong form: another customer's order, other items, another amount, a step left out. The policies were
written from `policy.md` and tried on the part `train`; `test` was looked at once, when they stood.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from bench.tau.desk import AccessHints, Call, changes, desk
from bench.tau.steps import before, owner, wrong
from policyengine import Engine
from policyengine.gate.session import Session

HERE = Path(__file__).parent
AGENT = {"type": "User", "id": "agent", "tenant": "desk", "roles": []}


class Run:
    """One conversation."""

    def __init__(self, desk: AccessHints, engine: Engine) -> None:
        self._desk = desk
        self._session: Session = engine.session(principal=AGENT)

    def make(self, call: Call) -> bool:
        decided = self._session.call(*call)
        if decided.allowed:
            self._session.observe(decided, self._desk.read(*call))
        return decided.allowed

    def may(self, call: Call) -> bool:
        return self._session.call(*call).allowed


def replayed(desk: AccessHints, engine: Engine, done: Sequence[Call], leaving_out: str = "") -> Run:
    """A conversation after these calls."""
    run = Run(desk, engine)
    for call in done:
        if not leaving_out or not call[0].startswith(leaving_out):
            run.make(call)
    return run


def measured(desk: AccessHints, engine: Engine, part: str, show: bool) -> None:
    rng = random.Random(7)
    right: Counter[bool] = Counter()
    refused: Counter[tuple[str, bool]] = Counter()
    for task, calls in desk.tasks[part].items():
        who = owner(desk, calls)
        run, done = Run(desk, engine), list[Call]()
        for call in calls:
            first = before(desk, call, who) if who is not None and not call[0].startswith("find_user") else []
            for step in [one for one in first if one not in done and one != call]:
                run.make(step)
                done.append(step)
            if changes(call) and who is not None:
                for kind, changed in wrong(desk, call, who, rng):
                    # Whoever is talked into it looks at that as well.
                    looked = [step for step in before(desk, changed, who) if step not in done]
                    passes = replayed(desk, engine, [*done, *looked]).may(changed)
                    refused[kind, not passes] += 1
                    if passes and show:
                        print("  passes:", task, kind, changed)
                for step in ("find_user" if desk.name == "retail" else "get_user", "get_order", "get_reservation"):
                    if any(one[0].startswith(step) for one in first):
                        passes = replayed(desk, engine, done, step).may(call)
                        refused["a step left out", not passes] += 1
                        if passes and show:
                            print("  passes:", task, f"without {step}", call)
            allowed = run.make(call)
            done.append(call)
            right[allowed] += 1
            if not allowed and show:
                print("  denied:", task, call)
    total = sum(count for (_, _), count in refused.items())
    no = sum(count for (_, is_refused), count in refused.items() if is_refused)
    kinds = sorted({kind for kind, _ in refused})
    shown = ", ".join(f"{kind} {refused[kind, True]} of {refused[kind, True] + refused[kind, False]}" for kind in kinds)
    allowed, asked = right[True], sum(right.values())
    print(f"| {desk.name} | {len(desk.tasks[part])} | {allowed} of {asked} ({100 * allowed / asked:.1f} %) ", end="")
    print(f"| {no} of {total} ({100 * no / total:.1f} %) | {shown} |")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.tau", description=__doc__)
    parser.add_argument("--part", choices=("train", "test"), default="test")
    parser.add_argument("--show", action="store_true", help="what was denied, and what passed")
    given = parser.parse_args()
    print("| | tasks | calls of the ground truth that pass | wrong changes that are refused | by kind |")
    print("| --- | --- | --- | --- | --- |")
    for name in ("airline", "retail"):
        engine = Engine.from_text((HERE / f"{name}.pol").read_text(encoding="utf-8"))
        measured(desk(name), engine, given.part, given.show)


if __name__ == "__main__":
    main()
