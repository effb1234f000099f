"""`policyengine scan`: what the finders find in files, without policies."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from policyengine.cli.console import DENY, colored, fail, note, say, stdout
from policyengine.cli.loading import STDIN, JsonOption, existing_file, read_bytes
from policyengine.cli.texts import CanariesOption, ConfigOption, LanguagesOption, RegionsOption, texts
from policyengine.detect import DetectorFailed, Finding, find, registry, unknown_kinds
from policyengine.detect.registry import ORDINARY, Registry
from policyengine.diagnostics.safe_text import visible
from policyengine.diagnostics.suggest import did_you_mean

FilesArgument = Annotated[
    list[Path], typer.Argument(metavar="FILE...", help="the files to scan; - for standard input", show_default=False)
]


def scan(
    files: FilesArgument,
    kinds: Annotated[
        list[str] | None,
        typer.Option("--kinds", metavar="KIND,...", help="the kinds to look for; secret stands for every secret.*"),
    ] = None,
    regions: RegionsOption = None,
    languages: LanguagesOption = None,
    canaries: CanariesOption = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Look for secrets, personal data and deceptive text, and list where they are.

    No value is shown. Without --kinds, everything is looked for except host names, which most texts have.
    Exit status: 0 nothing was found; 3 something was; 1 a finder failed; 2 wrong usage.
    """
    known = registry(texts(config, regions=regions, languages=languages, canaries=canaries).vocabulary())
    wanted = _wanted(kinds, known)
    some = False
    for file in files:
        existing_file(file, "FILE")
        text = read_bytes(file, "FILE").decode("utf-8", "replace")
        try:
            findings = find(text, wanted, known)
        except DetectorFailed as error:
            fail(str(error), "policyengine-ai[detect] installs what the finders need", status=1)
        some = some or bool(findings)
        name = "standard input" if str(file) == STDIN else str(file)
        _show(name, text, findings, json_)
    if some:
        raise typer.Exit(DENY)
    if not json_:
        note("nothing was found")


def _wanted(kinds: list[str] | None, known: Registry) -> frozenset[str]:
    if kinds is None:
        return known.kinds - ORDINARY
    wanted = frozenset(kind.strip() for some in kinds for kind in some.split(","))
    for kind in unknown_kinds(wanted, known):
        groups = {kind.partition(".")[0] for kind in known.kinds}
        help_ = did_you_mean(kind, known.kinds | groups) or f"there are {', '.join(sorted(groups))}"
        fail(f"--kinds: nothing finds `{kind}`", help_)
    return wanted


def _show(name: str, text: str, found: Sequence[Finding], json_: bool) -> None:
    """One finding per line: its place and, on a terminal, the line that it is in, with what was found painted over."""
    picture = colored(stdout())
    line, begin = 1, 0
    for finding in found:
        line += text.count("\n", begin, finding.start)
        begin = finding.start
        first = text.rfind("\n", 0, finding.start) + 1
        if json_:
            column = finding.start - first + 1
            place = {"file": name, "line": line, "column": column, "start": finding.start, "end": finding.end}
            say(
                visible(
                    json.dumps({**place, "kind": finding.kind, "score": finding.score, "detector": finding.detector})
                )
            )
        else:
            say(visible(f"{name}:{line}:{finding.start - first + 1}: {finding.kind} ({finding.score:.2f})"))
            if picture:
                say(_painted(text, finding, first, found))


_AROUND = 60


def _painted(text: str, finding: Finding, first: int, found: Sequence[Finding]) -> str:
    """The line of a finding, with every finding in it covered."""
    last = text.find("\n", finding.start)
    low = max(first, finding.start - _AROUND)
    high = min(len(text) if last < 0 else last, finding.end + _AROUND)
    shown, at = "    ", low
    for other in found:
        if other.end > at and other.start < high and (other.start >= low or other.end > low):
            if other.start > at:
                shown += visible(text[at : other.start])
            style = "30;43" if other is finding else "2"
            shown += f"\x1b[{style}m[{other.kind}]\x1b[0m"
            at = other.end
    return shown + visible(text[at:high] if at < high else "")
