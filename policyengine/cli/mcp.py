"""`policyengine mcp`: a gateway in front of MCP servers; `mcp pin` and `mcp diff` for what their tools look like."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from policyengine.authzen import read
from policyengine.cli.console import FAILED, fail, note, say, say_json
from policyengine.cli.loading import EntitiesOption, JsonOption, existing_file, load_engine, read_json
from policyengine.cli.request import understood
from policyengine.diagnostics.safe_text import visible
from policyengine.model.json_text import parse_json
from policyengine.model.values import Fault


class _Group(TyperGroup):
    """Without `pin` or `diff`, it is the gateway that is meant."""

    default = "gateway"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ("-h", "--help"):
            args = [self.default, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(cls=_Group, no_args_is_help=True, help="Gate the tools of MCP servers.")

CommandArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="-- COMMAND...", help="starts the server behind", show_default=False),
]
UpstreamOption = Annotated[
    list[str] | None,
    typer.Option(
        "--upstream", metavar="[NAME=]URL", help="a Streamable HTTP server behind; NAME stands before its tools"
    ),
]
PinsOption = Annotated[Path, typer.Option("--pins", metavar="FILE", help="what the tools looked like")]


@app.command()
def gateway(
    policies: Annotated[
        Path, typer.Option("--policies", metavar="PATH", help="a directory of .pol files, or one file")
    ],
    principal: Annotated[str, typer.Option("--principal", "-p", metavar="JSON|FILE", help="who uses the tools")],
    command: CommandArgument = None,
    upstream: UpstreamOption = None,
    agent: Annotated[
        str | None, typer.Option("--agent", metavar="JSON|FILE", help="the agent that acts for them")
    ] = None,
    entities: EntitiesOption = None,
    pins: Annotated[
        Path | None, typer.Option("--pins", metavar="FILE", help="tools that are not as pinned there are withheld")
    ] = None,
) -> None:
    """Stand between an MCP client, on standard input and output, and the servers behind.

    A client is shown the tools that the policies could allow, and each call is decided on its arguments.
    """
    running = _running()
    engine = load_engine(policies, entities)
    acting = _entity(agent, "--agent") if agent is not None else None
    existing_file(pins, "--pins")
    try:
        running.serve(engine, _entity(principal, "--principal"), acting, _targets(command, upstream), pins)
    except (OSError, ValueError) as error:
        fail(str(error), status=FAILED)


@app.command()
def pin(pins: PinsOption, command: CommandArgument = None, upstream: UpstreamOption = None) -> None:
    """Write down what the tools of the servers look like now, after somebody has looked at them."""
    try:
        count = _running().pin(_targets(command, upstream), pins)
    except (OSError, ValueError) as error:
        fail(str(error), status=FAILED)
    note(f"{count} tools pinned")


@app.command()
def diff(
    pins: PinsOption, command: CommandArgument = None, upstream: UpstreamOption = None, json_: JsonOption = False
) -> None:
    """List the tools that are new, changed or gone. Exit status: 0 none; 1 some."""
    existing_file(pins, "--pins")
    try:
        found = _running().diff(_targets(command, upstream), pins)
    except (OSError, ValueError) as error:
        fail(str(error), status=FAILED)
    if json_:
        say_json([{"tool": one.tool, "what": one.what} for one in found])
    else:
        for one in found:
            say(visible(f"{one.what}: {one.tool}"))
    if found:
        raise typer.Exit(FAILED)


def _targets(command: list[str] | None, upstream: list[str] | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for given in upstream or ():
        name, separator, url = given.partition("=")
        if not separator or "://" in name:
            name, url = "", given
        if name in found:
            fail(f"--upstream: two servers are called `{name}`", "write NAME=URL for each")
        found[name] = url
    if command:
        if found:
            fail("a command and --upstream exclude each other")
        return {"": command}
    if not found:
        fail("there is no server behind", "name one: --upstream URL, or `-- COMMAND...`")
    return found


def _entity(given: str, option: str) -> Any:
    if given.lstrip().startswith("{"):
        try:
            value = parse_json(given)
        except Fault as fault:
            fail(f"{option}: {fault.message}")
    else:
        existing_file(Path(given), option)
        value = read_json(Path(given), option)
    return understood(read.entity, value, option, 'an entity is {"type", "id", ...}')


def _running() -> Any:
    try:
        return import_module("policyengine.mcp.running")
    except ImportError:
        fail("the gateway needs `mcp`", "install `policyengine-ai[mcp]`")
