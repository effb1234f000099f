"""`policyengine fmt`: the one layout of `.pol` files, written in place."""

from __future__ import annotations

import os
import stat
import tempfile
from difflib import unified_diff
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from policyengine.cli.check import count
from policyengine.cli.console import FAILED, fail, note, report, say, stderr, stdout
from policyengine.cli.loading import STDIN, QuietOption, existing, read_text
from policyengine.diagnostics.safe_text import visible
from policyengine.diagnostics.source import Source
from policyengine.files import listed
from policyengine.syntax.format import FormatFault, Formatted, format_source

_HUES = {"+": "green", "-": "red", "@": "cyan"}


def fmt(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="directories of .pol files, or files; - for standard input")
    ],
    check: Annotated[bool, typer.Option("--check", help="write nothing; fail if something would change")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="write nothing; show what would change, and fail then")] = False,
    quiet: QuietOption = False,
) -> None:
    """Format policies in place. Comments are kept, and the meaning cannot change.

    With -, formats standard input to standard output. A file with syntax errors is left alone. Exit status: 0 done,
    1 something would change (--check, --diff) or has syntax errors, 2 wrong usage.
    """
    files = list(dict.fromkeys(file for path in paths for file in _files(path)))
    if not files:
        fail("no `.pol` file found", "name a directory that holds some, or a file")
    changed, failed = 0, False
    for file in files:
        source = Source("stdin" if str(file) == STDIN else str(file), read_text(file))
        formatted = _formatted(source)
        if formatted is None or formatted.text is None:
            failed = True
            continue
        changed += formatted.changed
        if diff:
            _show(source, formatted.text)
        elif check:
            if formatted.changed and not quiet:
                say(f"would reformat {source.path}")
        elif str(file) == STDIN:
            typer.echo(formatted.text, nl=False)
        elif formatted.changed:
            write(file, formatted.text)
            if not quiet:
                say(f"reformatted {source.path}")
    if not quiet and not diff and str(files[0]) != STDIN:
        same = count(len(files) - changed, "file")
        if not failed:
            say(f"{same} well formatted" if not changed else f"{count(changed, 'file')} changed, {same} unchanged"
                if not check else f"{count(changed, 'file')} would change")  # fmt: skip
    raise typer.Exit(FAILED if failed or (changed and (check or diff)) else 0)


def _files(path: Path) -> list[Path]:
    if str(path) == STDIN:
        return [path]
    listing = listed(existing(path))
    for file in listing.unread:
        fail(f"cannot read {file.path}: {file.why}", file.help, FAILED)
    return list(listing.files)


def _formatted(source: Source) -> Formatted | None:
    try:
        formatted = format_source(source)
    except FormatFault as fault:
        note(f"error: {visible(str(fault))}; the file is left alone. Please report this")
        return None
    if formatted.text is None:
        report([d for d in formatted.diagnostics if d.is_error], stderr())
    return formatted


def _show(source: Source, text: str) -> None:
    before, after = source.text.splitlines(), text.splitlines()
    console = stdout()
    for line in unified_diff(before, after, source.path, f"{source.path} (formatted)", lineterm=""):
        console.print(Text(visible(line), style=_HUES.get(line[:1], "")), soft_wrap=True)


def write(path: Path, text: str) -> None:
    """Replace a file's text in one step, so that a reader sees the old text or the new one. Keeps the file's mode; a
    link stays a link."""
    try:
        target = path.resolve()
        handle, name = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=target.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(text.encode("utf-8"))
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o644)
            os.replace(name, target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        fail(f"cannot write {path}: {(error.strerror or 'not writable').lower()}", status=FAILED)
