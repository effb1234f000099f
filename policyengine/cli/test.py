"""`policyengine test`: run the `test` statements of policies, and say which rules they reach."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from policyengine.bundle import Snapshot
from policyengine.cli.check import count
from policyengine.cli.console import FAILED, colored, fail, say_json, stdout
from policyengine.cli.fmt import write
from policyengine.cli.junit import junit
from policyengine.cli.loading import CacheOption, JsonOption, PolicyPath, QuietOption, load_valid
from policyengine.diagnostics import render
from policyengine.diagnostics.safe_text import visible
from policyengine.diagnostics.suggest import did_you_mean
from policyengine.explain.display import decision_json
from policyengine.explain.explanation import explain
from policyengine.model.entities import world
from policyengine.model.request import request
from policyengine.model.values import Fault
from policyengine.testing import CaseResult, run_case


@dataclass(frozen=True, slots=True)
class Coverage:
    """Which rules held in at least one test, and which in none; by name, in order."""

    held: tuple[str, ...]
    never: tuple[str, ...]


def test(
    path: PolicyPath,
    name: Annotated[
        str | None,
        typer.Option("-k", metavar="NAME", help="run only tests with this in their name", show_default=False),
    ] = None,
    junit_file: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="write a JUnit report", show_default=False)
    ] = None,
    json: JsonOption = False,
    coverage: Annotated[bool, typer.Option("--coverage/--no-coverage", help="say which rules no test reaches")] = True,
    cache: CacheOption = True,
    quiet: QuietOption = False,
) -> None:
    """Run the tests that the policies hold.

    Exit status: 0 all passed (also where there is none), 1 one failed or the policies are invalid, 2 wrong usage.
    """
    snapshot = load_valid(path, cache).snapshot
    assert snapshot is not None
    cases = snapshot.policies.tests
    chosen = [case for case in cases if name is None or name.lower() in case.name.lower()]
    if name is not None and not chosen:
        known = [case.name for case in cases]
        fail(
            f"no test has `{name}` in its name",
            did_you_mean(name, known) or f"the policies hold {count(len(cases), 'test')}",
        )
    results = [run_case(snapshot.policies, snapshot.schema, case) for case in chosen]
    reached = _coverage(snapshot, results) if coverage and chosen else None
    whys = [why_failed(result, snapshot) for result in results]
    if junit_file is not None:
        write(junit_file, junit(results, whys))
    if json:
        say_json(_as_json(results, whys, reached))
    else:
        _print(results, whys, reached, stdout(), quiet)
    raise typer.Exit(0 if all(result.passed for result in results) else FAILED)


def why_failed(result: CaseResult, snapshot: Snapshot) -> str:
    """Why a failed test was decided as it was; empty for one that passed or could not be asked."""
    if result.passed:
        return ""
    case = result.case
    try:
        known = world(case.entities, [(uid, dict(items)) for uid, items in snapshot.policies.facts])
        asked = request(case.principal, case.action, case.resource, case.context)
    except Fault:
        return ""
    found = explain(snapshot.policies, snapshot.schema, known, asked)
    # The problem that the test reports says already what was decided.
    return found.why.removeprefix(visible(found.decision.summary)).lstrip(":; ")


def _coverage(snapshot: Snapshot, results: list[CaseResult]) -> Coverage:
    held = {rule for result in results for rule in result.held}
    names = [rule.name for rule in snapshot.policies.rules]
    return Coverage(tuple(n for n in names if n in held), tuple(n for n in names if n not in held))


def _print(results: list[CaseResult], whys: list[str], reached: Coverage | None, console: Console, quiet: bool) -> None:
    if not results:
        console.out('no tests: add `test "..." { ... }` to the policies', highlight=False)
        return
    modules = len({result.case.module for result in results}) > 1
    for result, why in zip(results, whys, strict=True):
        title = f"{result.case.module}: {result.case.name}" if modules else result.case.name
        if result.passed:
            if not quiet:
                console.print(Text.assemble(("✓ ", "bold green"), visible(title)), soft_wrap=True)
            continue
        console.print(Text.assemble(("✗ ", "bold red"), (visible(title), "bold")), soft_wrap=True)
        console.out(_indented(render.human(result.diagnostic(), colored(console))), highlight=False)
        if why:
            console.print(Text(f"  = why: {why}"), soft_wrap=True)
    failed = sum(not result.passed for result in results)
    if failed or not quiet:
        passed = f"{len(results) - failed} passed"
        counts = f"{failed} failed, {passed}" if failed else passed
        console.print(Text(counts, "bold red" if failed else "bold green"), soft_wrap=True)
    if reached is not None and not quiet:
        _print_coverage(reached, console)


def _print_coverage(reached: Coverage, console: Console) -> None:
    total = len(reached.held) + len(reached.never)
    line = f"{len(reached.held)} of {count(total, 'rule')} held in some test"
    console.print(Text(line), soft_wrap=True)
    for name in reached.never:
        console.print(Text(f"  never: {name}", "yellow"), soft_wrap=True)


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.split("\n"))


def _as_json(results: list[CaseResult], whys: list[str], reached: Coverage | None) -> dict[str, Any]:
    failed = sum(not result.passed for result in results)
    found: dict[str, Any] = {
        "passed": len(results) - failed,
        "failed": failed,
        "tests": [_case_json(result, why) for result, why in zip(results, whys, strict=True)],
    }
    if reached is not None:
        found["coverage"] = {"held": list(reached.held), "never": list(reached.never)}
    return found


def _case_json(result: CaseResult, why: str) -> dict[str, Any]:
    return {
        "name": result.case.name,
        "module": result.case.module,
        "passed": result.passed,
        "problems": list(result.problems),
        "why": why,
        "location": render.location(result.case.span),
        "held": sorted(result.held),
        "decision": decision_json(result.decision) if result.decision is not None else None,
    }
