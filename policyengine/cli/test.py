"""`policyengine test`: run the `test` statements of policies, and say which rules they reach."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from policyengine.bundle import Snapshot
from policyengine.cli.check import count, page
from policyengine.cli.console import FAILED, colored, fail, note, say, say_json, stdout
from policyengine.cli.fmt import write
from policyengine.cli.junit import junit
from policyengine.cli.loading import CacheOption, PolicyPath, QuietOption, load_valid
from policyengine.cli.report_format import ReportFormat, github, github_error, sarif
from policyengine.diagnostics import render
from policyengine.diagnostics.safe_text import visible
from policyengine.diagnostics.suggest import did_you_mean
from policyengine.explain.display import decision_json
from policyengine.explain.explanation import explain
from policyengine.model.entities import world
from policyengine.testing import CaseResult, Coverage, coverage, run_case


def test(
    path: PolicyPath,
    name: Annotated[
        str | None,
        typer.Option("-k", metavar="NAME", help="run only tests with this in their name", show_default=False),
    ] = None,
    junit_file: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="write a JUnit report", show_default=False)
    ] = None,
    format_: Annotated[ReportFormat, typer.Option("--format", help="how to print the results")] = ReportFormat.HUMAN,
    json: Annotated[bool, typer.Option("--json", help="the same as --format json")] = False,
    coverage_: Annotated[
        bool, typer.Option("--coverage/--no-coverage", help="list the rules that no test reaches")
    ] = True,
    fail_under: Annotated[
        float | None,
        typer.Option(
            metavar="PERCENT", min=0, max=100, help="fail if fewer of the rules held in some test", show_default=False
        ),
    ] = None,
    cache: CacheOption = True,
    quiet: QuietOption = False,
) -> None:
    """Run the tests in the policies.

    Exit status: 0 all passed (or there are none), 1 one failed, the policies are invalid, or fewer rules held than
    --fail-under demands, 2 wrong usage.
    """
    if json and format_ not in (ReportFormat.HUMAN, ReportFormat.JSON):
        fail(f"--json and --format {format_} exclude each other", "choose one")
    if fail_under is not None and fail_under != fail_under:
        fail("--fail-under is a percentage", "such as --fail-under 90")
    if fail_under is not None and not coverage_:
        fail("--fail-under needs the coverage", "leave out --no-coverage")
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
    reached = coverage(snapshot.policies, results) if coverage_ else None
    whys = [why_failed(result, snapshot) for result in results]
    if junit_file is not None:
        write(junit_file, junit(results, whys))
    format_ = ReportFormat.JSON if json else format_
    _say(results, whys, reached if chosen else None, format_, quiet)
    passed = all(result.passed for result in results)
    if fail_under is not None and reached is not None and reached.percent < fail_under:
        passed = False
        coverage_line = f"{shown_percent(reached)} of the rules held in some test, and --fail-under is {fail_under:g} %"
        if format_ is ReportFormat.GITHUB:
            say(github_error(coverage_line))
        else:
            note(f"error: {coverage_line}")
    raise typer.Exit(0 if passed else FAILED)


def shown_percent(reached: Coverage) -> str:
    """Rounded down, so that nothing short of all of them is shown as 100 %."""
    return f"{int(reached.percent * 10) / 10:g} %"


def _say(
    results: list[CaseResult], whys: list[str], reached: Coverage | None, format_: ReportFormat, quiet: bool
) -> None:
    failures = [result.diagnostic() for result in results if not result.passed]
    match format_:
        case ReportFormat.JSON:
            say_json(_as_json(results, whys, reached))
        case ReportFormat.SARIF:
            say_json(sarif(failures, page))
        case ReportFormat.GITHUB:
            for failure in failures:
                say(github(failure))
        case ReportFormat.CONCISE:
            for failure in failures:
                say(render.concise(failure))
        case ReportFormat.HUMAN:
            _print(results, whys, reached, stdout(), quiet)


def why_failed(result: CaseResult, snapshot: Snapshot) -> str:
    """Why a failed test was decided as it was; empty for a test that passed or could not run."""
    if result.passed:
        return ""
    if result.asked is None:
        return ""
    case, approved = result.case, result.case.steps[result.step].approved
    known = world(case.entities, [(uid, dict(items)) for uid, items in snapshot.policies.facts])
    explanation = explain(snapshot.policies, snapshot.schema, known, result.asked, approved)
    if result.decision is None or explanation.decision.decision != result.decision.decision:
        return ""  # a limit or the session denied it, which no rule's condition explains
    # The problem that the test reports already says what was decided.
    return explanation.why.removeprefix(visible(explanation.decision.summary)).lstrip(":; ")


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
    total = len(reached.held) + len(reached.erred) + len(reached.never)
    console.print(Text(f"{len(reached.held)} of {count(total, 'rule')} held in some test"), soft_wrap=True)
    for name in reached.erred:
        console.print(Text(f"  erred, never held: {name}", "yellow"), soft_wrap=True)
    for name in reached.never:
        console.print(Text(f"  never: {name}", "yellow"), soft_wrap=True)


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.split("\n"))


def _as_json(results: list[CaseResult], whys: list[str], reached: Coverage | None) -> dict[str, Any]:
    failed = sum(not result.passed for result in results)
    report: dict[str, Any] = {
        "passed": len(results) - failed,
        "failed": failed,
        "tests": [_case_json(result, why) for result, why in zip(results, whys, strict=True)],
    }
    if reached is not None:
        report["coverage"] = {
            "percent": reached.percent,
            "held": list(reached.held),
            "erred": list(reached.erred),
            "never": list(reached.never),
        }
    return report


def _case_json(result: CaseResult, why: str) -> dict[str, Any]:
    return {
        "name": result.case.name,
        "module": result.case.module,
        "passed": result.passed,
        "problems": list(result.problems),
        "why": why,
        "location": render.location(result.diagnostic().span),
        "step": result.step + 1,
        "held": sorted(result.held),
        "erred": sorted(result.erred),
        "decision": decision_json(result.decision) if result.decision is not None else None,
    }
