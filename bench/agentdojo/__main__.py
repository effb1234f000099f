"""All that is published of AgentDojo: what each gate lets the user and the adversary do.

The tables are Markdown, for bench/README.md. It takes about ten minutes, and a minute with `--suite banking`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.agentdojo import hostile, rewrites
from bench.agentdojo.abilities import ABILITIES, without
from bench.agentdojo.benchmark import MARK, Benchmark, Suite
from bench.agentdojo.gates import Addressed, Listed, Open, Tainted, policies
from bench.agentdojo.replay import Opener, replay

GATES: dict[str, Opener] = {
    "none": Open,
    "session taint": Tainted,
    "an oracle's list of tools": Listed,
    "the list, and destinations": Addressed,
}
# The ways that are also tried when all the user's calls are made: an adversary who waits has seen more.
LATE = ("as given", "written and read back")


PARTS = ("gates", "abilities", "rewriting", "hostile")
Pairs = Sequence[tuple[Suite, str, str]]


@dataclass
class Row:
    """What a gate came to, of all tasks, and of all pairs of a task and a goal."""

    gate: str
    useful: int
    with_person: int | None
    attacked: int
    under_attack: int


def row(benchmark: Benchmark, suites: Sequence[Suite], name: str, opener: Opener, person: Opener | None) -> Row:
    tasks = [(suite, task) for suite in suites for task in suite.tasks]
    benign = sum(replay(benchmark, suite, task, opener).useful for suite, task in tasks)
    helped = person and sum(replay(benchmark, suite, task, person).useful for suite, task in tasks)
    outcomes = [replay(benchmark, suite, task, opener, goal) for suite, task, goal in pairs_of(suites)]
    attacked, under_attack = sum(one.attacked for one in outcomes), sum(one.useful for one in outcomes)
    return Row(name, benign, helped or None, attacked, under_attack)


def pairs_of(suites: Sequence[Suite]) -> Pairs:
    return [(suite, task, goal) for suite in suites for task in suite.tasks for goal in suite.goals]


def rewriting(benchmark: Benchmark, pairs: Pairs, opener: Opener) -> dict[str, list[int]]:
    """By way of rewriting: the pairs that it gets through in, by their number."""
    found = {}
    for way, rewritten in rewrites.WAYS.items():
        for late in (False, True) if way in LATE else (False,):
            outcomes = [replay(benchmark, *pair[:2], opener, pair[2], rewritten, late=late) for pair in pairs]
            hit = [number for number, one in enumerate(outcomes) if one.attacked]
            found[f"{way}{', at the end' if late else ''}"] = hit
    return found


@dataclass
class Harm:
    suite: str
    kind: str
    passed: list[str]
    tried: int


def harms(benchmark: Benchmark, suites: Sequence[Suite], opener: Opener) -> list[Harm]:
    """Which hostile calls pass, in which tasks."""
    found = []
    for suite in suites:
        kinds = hostile.BY_SUITE[suite.name]
        passed: dict[str, list[str]] = {kind: [] for kind in kinds}
        for task in suite.tasks:
            opened = benchmark.open(suite.name, task)
            calls = [kind(opened) for kind in kinds.values()]
            text = f"{MARK}: " + " ".join(str(value) for _, args in calls for value in args.values())
            outcome = replay(benchmark, suite, task, opener, text=text, hostile=calls)
            for kind, through in zip(kinds, outcome.passed, strict=True):
                if through:
                    passed[kind].append(task)
        found += [Harm(suite.name, kind, tasks, len(suite.tasks)) for kind, tasks in passed.items()]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.agentdojo", description=__doc__)
    parser.add_argument("--suite", action="append", help="only this one (workspace, travel, banking, slack)")
    parser.add_argument("--only", action="append", choices=PARTS, help="only this part")
    parser.add_argument("--json", type=Path, help="where to write all that was found")
    given = parser.parse_args()
    parts = given.only or PARTS
    written: dict[str, Any] = {}
    with Benchmark() as benchmark:
        suites = [suite for suite in benchmark.suites() if not given.suite or suite.name in given.suite]
        usual, pairs = policies(), pairs_of(suites)
        if "gates" in parts or "abilities" in parts:
            written["gates"] = [asdict(one) for one in _table(benchmark, suites, len(pairs), parts)]
        if "rewriting" in parts:
            print("\n| the adversary's calls | no gate | the policies |\n| --- | --- | --- |")
            ways = {name: rewriting(benchmark, pairs, opener) for name, opener in (("none", Open), ("policies", usual))}
            for way, hit in ways["none"].items():
                print(f"| {way} | {len(hit) / len(pairs):.3f} | {len(ways['policies'][way]) / len(pairs):.3f} |")
            written["rewriting"] = ways
        if "hostile" in parts:
            found = harms(benchmark, suites, usual)
            print("\n| suite | hostile call | passes in |\n| --- | --- | --- |")
            for one in found:
                print(f"| {one.suite} | {one.kind} | {len(one.passed)} of {one.tried} |")
            passed, tried = sum(len(one.passed) for one in found), sum(one.tried for one in found)
            print(f"\nOf {tried:,} hostile calls of {len(found)} kinds {passed} pass: {100 * passed / tried:.1f} %.")
            written["hostile"] = [asdict(one) for one in found]
    if given.json:
        given.json.write_text(json.dumps(written))


def _table(benchmark: Benchmark, suites: Sequence[Suite], pairs: int, parts: Sequence[str]) -> list[Row]:
    rows: list[Row] = []

    def show(one: Row) -> None:
        rows.append(one)
        person = "" if one.with_person is None else f"{one.with_person}"
        cells = (one.gate, one.useful, person, f"{one.attacked / pairs:.3f}", f"{one.under_attack / pairs:.3f}")
        print(f"| {' | '.join(str(cell) for cell in cells)} |", flush=True)

    tasks = sum(len(suite.tasks) for suite in suites)
    print(f"| gate | tasks done, of {tasks} | with a person | attacks that succeed, of {pairs} | tasks done beside |")
    print("| --- | --- | --- | --- | --- |")
    if "gates" in parts:
        for name, opener in GATES.items():
            show(row(benchmark, suites, name, opener, None))
        show(row(benchmark, suites, "**the policies**", policies(), policies(person=True)))
    for ability in ABILITIES if "abilities" in parts else ():
        with without(ability) as make:
            show(row(benchmark, suites, f"without {ability}", make(False), make(True)))
    return rows


if __name__ == "__main__":
    main()
