"""`policyengine check`: whether policies are valid, with everything that is wrong about them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import policyengine.diagnostics
from policyengine.bundle import Loaded
from policyengine.cli.console import FAILED, colored, fail, note, report, say, say_json, stdout
from policyengine.cli.cost import ELEMENTS, cost_json, cost_lines
from policyengine.cli.loading import CacheOption, EntitiesOption, QuietOption, load
from policyengine.cli.not_in_force import not_in_force, streams
from policyengine.cli.report_format import ReportFormat, github, sarif
from policyengine.diagnostics import render
from policyengine.diagnostics.codes import CODES
from policyengine.diagnostics.diagnostic import Code, Diagnostic, has_errors
from policyengine.diagnostics.suggest import did_you_mean
from policyengine.ir.cost import cost as found_cost
from policyengine.lazy_import import library
from policyengine.release.policy_notes import misspelt_kinds
from policyengine.state.stateful_rules import metering, restarted_limits

_markdown = library("rich.markdown")
PAGES = Path(policyengine.diagnostics.__file__).parent / "pages"


def check(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="PATH...", help="directories of .pol files, or files; - for standard input"),
    ] = None,
    entities: EntitiesOption = None,
    format_: Annotated[ReportFormat, typer.Option("--format", help="how to print the findings")] = ReportFormat.HUMAN,
    cost: Annotated[
        bool, typer.Option("--cost", help="print the most that a request can cost, and the costliest rules")
    ] = False,
    elements: Annotated[
        int, typer.Option("--elements", metavar="N", min=0, help="with --cost: elements of a collection")
    ] = ELEMENTS,
    strict: Annotated[bool, typer.Option("--strict", help="make warnings fail, too")] = False,
    explain: Annotated[
        str | None, typer.Option("--explain", metavar="CODE", help="print the page about a code, such as POL204")
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="the current policies: list the limits that would start again from zero"),
    ] = None,
    cache: CacheOption = True,
    quiet: QuietOption = False,
) -> None:
    """Check policies: syntax, names, types and likely mistakes.

    Each PATH is checked by itself, as `serve` and `decide` would load it, and the entities with it.
    Exit status: 0 valid (warnings are allowed, unless --strict), 1 errors, 2 wrong usage.
    """
    if explain is not None:
        _page(explain)
        return
    if not paths:
        fail("nothing to check", "name a directory or file, such as `policyengine check policies/`")
    results = [load(path, cache, entities) for path in paths]
    sets = [loaded.policies for loaded in results if loaded.policies is not None]
    advice = [warning for policies in sets for warning in misspelt_kinds(policies)]
    findings = list({_key(d): d for d in (*(d for loaded in results for d in loaded.diagnostics), *advice)}.values())
    costs = [found_cost(policies.rules, elements) for policies in sets if policies.rules] if cost else []
    begins = _anew(against, results, cache, entities) if against is not None else None
    failed = has_errors(findings) or bool(strict and findings)
    match format_:
        case ReportFormat.JSON:
            errors = sum(d.is_error for d in findings)
            costs_shown = {"costs": [cost_json(each, elements) for each in costs]} if cost else {}
            say_json(
                {
                    "ok": not failed,
                    "errors": errors,
                    "warnings": len(findings) - errors,
                    "diagnostics": [render.as_json(d) for d in findings],
                    **costs_shown,
                    **({"meters_anew": begins} if begins is not None else {}),
                }
            )
        case ReportFormat.CONCISE:
            for diagnostic in findings:
                say(render.concise(diagnostic))
        case ReportFormat.SARIF:
            say_json(sarif(findings, page))
        case ReportFormat.GITHUB:
            for diagnostic in findings:
                say(github(diagnostic))
        case ReportFormat.HUMAN:
            report(findings, stdout())
            if not quiet and not failed:
                say(_counts(results))
            for each in costs:
                for line in cost_lines(each, elements):
                    say(line)
    if not quiet:
        for line in not_in_force((loaded.policies for loaded in results if loaded.policies is not None), metered=True):
            note(line)
        for line in streams(sets):
            note(line)
        for name in begins or ():
            note(f"starts again from zero: {name}")
    if failed and strict and not has_errors(findings) and not quiet:
        note("warnings fail because of --strict")
    raise typer.Exit(FAILED if failed else 0)


def _anew(before: Path, results: list[Loaded], cache: CacheOption, entities: EntitiesOption) -> list[str]:
    """The limits whose meters start again from zero, because they counted something else before."""
    old = load(before, cache, entities).policies
    if old is None:
        fail(f"{before}: these policies have errors", "--against needs valid policies")
    known = metering(old)
    return sorted(
        {
            name
            for each in results
            if each.policies is not None
            for name in restarted_limits(known, metering(each.policies))
        }
    )


def _key(diagnostic: Diagnostic) -> tuple[str, int, str, str]:
    return diagnostic.span.source.path, diagnostic.span.start, diagnostic.code.id, diagnostic.message


def _counts(results: list[Loaded]) -> str:
    """`ok: 9 rules, 1 test in 1 file`."""
    sets = [loaded.policies for loaded in results if loaded.policies is not None]
    rules, tests = sum(len(p.rules) for p in sets), sum(len(p.tests) for p in sets)
    files = len({source.path for loaded in results for source in loaded.sources})
    return f"ok: {count(rules, 'rule')}, {count(tests, 'test')} in {count(files, 'file')}"


def count(number: int, word: str) -> str:
    return f"{number} {word}{'s' * (number != 1)}"


def _page(wanted: str) -> None:
    code = CODES.get(wanted.upper()) or CODES.get(f"POL{wanted}")
    if code is None:
        fail(f"unknown code `{wanted}`", did_you_mean(wanted.upper(), CODES) or "codes look like POL204")
    text = page(code)
    console = stdout()
    if colored(console):
        console.print(_markdown.Markdown(text))
    else:
        say(text.rstrip("\n"))


def page(code: Code) -> str:
    """The page about a code, as Markdown."""
    path = PAGES / f"{code.id}.md"
    return path.read_text(encoding="utf-8") if path.is_file() else f"# {code.id}: {code.title}\n"
