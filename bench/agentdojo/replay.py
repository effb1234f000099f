"""One task, replayed through a gate, with or without an attack."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from bench.agentdojo.benchmark import MARK, Args, Benchmark, Opened, Proposed, Suite


class Gate(Protocol):
    """What stands between the agent and its tools in one run."""

    def may(self, tool: str, args: Args, asked: bool) -> bool:
        """Whether the call may run. `asked` is true of the ground truth: a person who is an oracle approves it."""

    def seen(self, result: Any) -> None:
        """What the call that was allowed last returned."""


Opener = Callable[[Suite, Opened], Gate]


@dataclass(frozen=True, slots=True)
class Outcome:
    useful: bool
    attacked: bool
    denied: tuple[Proposed, ...]
    passed: tuple[bool, ...] = ()


def replay(
    benchmark: Benchmark,
    suite: Suite,
    task: str,
    gate: Opener,
    goal: str | None = None,
    rewritten: Callable[[Sequence[Proposed]], Iterable[Proposed]] | None = None,
    hostile: Sequence[Proposed] | None = None,
) -> Outcome:
    """The user's calls up to the first poisoned result, then those of the goal, then the rest. `rewritten` are the
    calls that the adversary makes in their place. `hostile` are calls that are only proposed, at the same point:
    whether each of them would pass is in the outcome."""
    text = suite.goals[goal].injected if goal else None
    opened = benchmark.open(suite.name, task, goal, text)
    gated = gate(suite, opened)
    denied: list[Proposed] = []
    passed: list[bool] = []

    def make(proposed: Proposed, asked: bool) -> Any:
        tool, args = proposed
        if not gated.may(tool, args, asked):
            if asked:
                denied.append(proposed)
            return None
        result = benchmark.call(tool, args)
        gated.seen(result)
        return result

    def attack() -> None:
        for proposed in rewritten(opened.injected) if rewritten else opened.injected:
            make(proposed, False)
        passed.extend(gated.may(tool, args, False) for tool, args in hostile or ())

    waiting = goal is not None
    for proposed in opened.calls:
        if MARK in json.dumps(make(proposed, True)) and waiting:
            waiting = False
            attack()
    if waiting:
        attack()
    useful, attacked = benchmark.score()
    return Outcome(useful, attacked, tuple(denied), tuple(passed))
