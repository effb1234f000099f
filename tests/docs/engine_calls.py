"""The only file of the harness that knows how the engine is called from Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from typer.main import get_command
from typer.testing import CliRunner

from policyengine.bundle import load_text
from policyengine.cli import app


def findings(source: str, path: str) -> tuple[list[str], list[str]]:
    """The codes of the errors and of the warnings in a module, sorted, each once."""
    found = [diagnostic.code for diagnostic in load_text(source, path).diagnostics]
    errors = {code.id for code in found if code.severity == "error"}
    warnings = {code.id for code in found if code.severity == "warning"}
    return sorted(errors), sorted(warnings)


def run_tests(path: Path) -> tuple[bool, str]:
    """Run the `test` blocks of a file: whether all passed, and what was printed."""
    result = CliRunner().invoke(app, ["test", str(path)])
    return result.exit_code == 0, result.output


def unknown_words(arguments: list[str]) -> list[str]:
    """The subcommands and options among `arguments` that `policyengine` does not have."""
    command: Any = get_command(app)
    words = list(arguments)
    while words and hasattr(command, "commands"):
        name = words.pop(0)
        if name == "--help":
            return []
        if name.startswith("-") and (default := getattr(command, "default", None)) is not None:
            words.insert(0, name)
            name = default
        if name not in command.commands:
            return [name]
        command = command.commands[name]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    options = [word.partition("=")[0] for word in words if word.startswith("--") and word != "--"]
    return [option for option in options if option not in known | {"--help"}]
