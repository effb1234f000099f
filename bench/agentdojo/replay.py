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
    rewritten: Callable[[Opened], Iterable[Proposed]] | None = None,
    *,
    late: bool = False,
    text: str | None = None,
    hostile: Sequence[Proposed] = (),
) -> Outcome:
    """The user's calls up to the first poisoned result (`late`: all of them), then those of the goal, then the rest.
    `rewritten` makes other calls for the same goal. `text` is injected in the goal's place. `hostile` are calls that
    are only proposed, at the first poisoned result and at the end: the outcome says whether each passes at either."""
    if text is None and goal is not None:
        text = suite.goals[goal].injected
    opened = benchmark.open(suite.name, task, goal, text)
    gated = gate(suite, opened)
    denied: list[Proposed] = []
    passed = [False] * len(hostile)

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
        if goal is not None:
            for proposed in rewritten(opened) if rewritten else opened.injected:
                make(proposed, False)
        for number, (tool, args) in enumerate(hostile):
            passed[number] |= gated.may(tool, args, False)

    waiting = text is not None
    for proposed in opened.calls:
        if MARK in json.dumps(make(proposed, True)) and waiting and not late:
            waiting = False
            attack()
    if waiting or hostile:
        attack()
    useful, attacked = benchmark.score()
    return Outcome(useful, attacked, tuple(denied), tuple(passed))
