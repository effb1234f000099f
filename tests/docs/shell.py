"""Run the commands of a `sh` or `console` block and compare what they print.

Lines that start with `$ ` are commands; the lines below one, up to the next, are its output. A command goes
on after a backslash and through a here-document. A block without `$ ` is a script whose output is not shown.
A command must succeed, unless the next one reads `$?` or, for the last, the info string says `exit=N`.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.docs.blocks import Block
from tests.docs.engine_calls import unknown_words
from tests.docs.matching import output_matches
from tests.docs.workspace import Workspace
from tests.support.paths import ROOT, SCRIPTS

TIMEOUT = 120
# In a document the service is at this address; in a test it is at the address of the running server.
DOCUMENTED_ADDRESS = re.compile(r"http://(?:localhost|127\.0\.0\.1):8080")


@dataclass(frozen=True, slots=True)
class Command:
    """One command and the output shown for it; None where the document shows none."""

    text: str
    output: str | None


def commands(text: str) -> list[Command]:
    """The commands of a block with the output shown below each."""
    if not any(line.startswith("$ ") for line in text.splitlines()):
        return [Command(text, None)]
    found: list[tuple[str, list[str]]] = []
    lines = iter(text.splitlines())
    for line in lines:
        if line.startswith("$ "):
            command = line[2:]
            while command.endswith("\\"):
                command += "\n" + next(lines, "")
            if here := re.search(r"<<-?\s*['\"]?(\w+)['\"]?", command):
                for body in lines:
                    command += "\n" + body
                    if body.strip() == here[1]:
                        break
            found.append((command, []))
        elif found:
            found[-1][1].append(line)
    return [Command(command, "\n".join(output) if any(output) else None) for command, output in found]


def run(block: Block, workspace: Workspace, address: str | None) -> None:
    """Run a block; `address` is that of a running server, for commands that call the documented one."""
    todo = commands(block.text)
    for i, command in enumerate(todo):
        last = i == len(todo) - 1
        printed = run_one(command.text, workspace, address)
        shown = f"$ {command.text}\n{printed}"
        if last or "$?" not in todo[i + 1].text:
            expected = int(block.options.get("exit", 0)) if last else 0
            assert workspace.last_status == expected, f"exit status {workspace.last_status}\n{shown}"
        if command.output is not None:
            assert output_matches(command.output, printed), f"expected:\n{command.output}\n\ngot:\n{shown}"


def run_one(command: str, workspace: Workspace, address: str | None) -> str:
    """Run one command where the last one left off; return what it printed on either stream."""
    assert not re.match(r"\s*make\b", command), "`make` belongs in a block that says `no-run`"
    if address is not None:
        command = DOCUMENTED_ADDRESS.sub(address, command)
    stand = workspace.root / ".cwd"
    script = f"trap 'pwd > {shlex.quote(str(stand))}' EXIT\n(exit {workspace.last_status})\n{command}\n"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=workspace.cwd,
        env=environment(workspace.commands),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT,
    )
    workspace.cwd = Path(stand.read_text(encoding="utf-8").strip())
    stand.unlink()
    workspace.last_status = done.returncode
    return done.stdout


def check_names(block: Block) -> None:
    """For a block that is not run: its make targets, subcommands and options must exist."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][\w-]*):", makefile, re.MULTILINE))
    for line in block.text.replace("\\\n", " ").splitlines():
        words = shlex.split(line.removeprefix("$ "), comments=True)
        if words[:1] == ["make"]:
            named = [word for word in words[1:] if "=" not in word and not word.startswith("-")]
            assert set(named) <= targets, f"no such make target: {line}"
        elif words[:1] == ["policyengine"]:
            assert unknown_words(words[1:]) == [], f"no such command or option: {line}"


def environment(commands: Path = SCRIPTS) -> dict[str, str]:
    """What commands of the documents see; `commands` is where they find `policyengine`."""
    path = os.pathsep.join([str(commands), str(SCRIPTS), os.environ.get("PATH", os.defpath)])
    return {**os.environ, "PATH": path, "NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "110", "PYTHONUTF8": "1"}
