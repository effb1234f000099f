"""`policyengine mcp`: a gateway in front of MCP servers; `mcp pin` and `mcp diff` for the definitions of their
tools."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from importlib import import_module
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from policyengine.authzen import read
from policyengine.callers.local import is_loopback
from policyengine.cli.console import FAILED, fail, note, say, say_json, unusable
from policyengine.cli.loading import EntitiesOption, JsonOption, existing, existing_file, load_engine, read_json
from policyengine.cli.request import understood
from policyengine.diagnostics.safe_text import visible
from policyengine.engine import Engine
from policyengine.events.sink import Sink
from policyengine.model.json_text import parse_json
from policyengine.model.values import Fault
from policyengine.settings.event_sinks import telling
from policyengine.settings.gateway import load_events, load_gateway
from policyengine.settings.loading import WrongSettings
from policyengine.settings.model import check_remote
from policyengine.state.store import StoreError


class _Group(TyperGroup):
    """Without `pin` or `diff`, the command is the gateway."""

    default = "gateway"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ("-h", "--help"):
            args = [self.default, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(cls=_Group, no_args_is_help=True, help="Gate the tools of MCP servers.")

# The policies of a gateway that has everything decided elsewhere.
ANYTHING = "module gateway\n\nuse ai\n\npermit anything: call on Tool\n"
# A shorter bearer token could be guessed.
SHORTEST_TOKEN = 16

CommandArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="-- COMMAND...", help="the command that starts the server", show_default=False),
]
UpstreamOption = Annotated[
    list[str] | None,
    typer.Option(
        "--upstream", metavar="[NAME=]URL", help="a server over Streamable HTTP; NAME is the prefix of its tools"
    ),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="a client's mcp.json, with all of its servers"),
]
PinsOption = Annotated[Path, typer.Option("--pins", metavar="FILE", help="the file of pins")]


@app.command()
def gateway(
    policies: Annotated[
        Path | None,
        typer.Option("--policies", metavar="PATH", help="a directory of .pol files, or one file; optional with --pdp"),
    ] = None,
    principal: Annotated[
        str | None,
        typer.Option("--principal", "-p", metavar="JSON|FILE", help="who uses the tools; with --auth, the tokens say"),
    ] = None,
    command: CommandArgument = None,
    upstream: UpstreamOption = None,
    config: ConfigOption = None,
    agent: Annotated[
        str | None, typer.Option("--agent", metavar="JSON|FILE", help="the agent that acts for them")
    ] = None,
    entities: EntitiesOption = None,
    pins: Annotated[
        Path | None, typer.Option("--pins", metavar="FILE", help="withhold tools that differ from these pins")
    ] = None,
    http: Annotated[
        str | None,
        typer.Option(
            "--http", metavar="[HOST]:PORT", help="serve clients over Streamable HTTP at /mcp instead of stdio"
        ),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file", metavar="FILE", help="with --http: the bearer token that every request must carry"
        ),
    ] = None,
    auth: Annotated[
        Path | None,
        typer.Option(
            "--auth", metavar="FILE", help="with --http: the issuers whose tokens are accepted, and what they must say"
        ),
    ] = None,
    pdp: Annotated[
        str | None,
        typer.Option("--pdp", metavar="URL", help="an AuthZEN decision point, which decides about every message"),
    ] = None,
    pdp_token_file: Annotated[
        Path | None, typer.Option("--pdp-token-file", metavar="FILE", help="the bearer token for --pdp")
    ] = None,
    claims: Annotated[
        str | None,
        typer.Option("--claims", metavar="JSON|FILE", help="the claims of a token, for requests without one"),
    ] = None,
    coaz_strict: Annotated[
        bool, typer.Option("--coaz-strict", help="deny what the COAZ-MCP binding does not name, and foreign subjects")
    ] = False,
    approver: Annotated[
        str | None,
        typer.Option("--approver", metavar="JSON|FILE", help="the person at the client, who is asked for approvals"),
    ] = None,
    approvals_url: Annotated[
        str | None,
        typer.Option("--approvals-url", metavar="URL", help="the page for approvers, to which clients are led"),
    ] = None,
    wait: Annotated[
        float, typer.Option("--wait", min=0, max=3600, help="for how many seconds a call waits to be approved")
    ] = 0,
    state: Annotated[
        str, typer.Option("--state", metavar="URL", help="where limits, sessions and approvals are kept")
    ] = "memory://",
    with_limits: Annotated[
        bool, typer.Option("--with-limits", help="list tools with the bounds of their arguments that hold in any case")
    ] = False,
    events: Annotated[
        Path | None,
        typer.Option("--events", metavar="FILE", help="where events are reported: `[events]` of a service's settings"),
    ] = None,
    trusted_proxy: Annotated[
        list[str] | None,
        typer.Option(
            "--trusted-proxy", metavar="CIDR", help="with --http: the proxies whose X-Forwarded-For is trusted"
        ),
    ] = None,
) -> None:
    """Stand between MCP clients and the servers behind: on standard input and output, or over HTTP.

    A client is shown what the policies could allow, and each call is decided on its arguments.
    """
    if http is None and sys.stdin is None:
        fail("standard input is closed", "the client is served there; use --http to serve over HTTP")
    running = _running()
    listening = _listening(running, http, token_file, auth, trusted_proxy)
    if principal is None and (listening is None or listening.settings is None):
        fail("no principal is named", "give --principal, or with --http --auth, which reads it from the tokens")
    if policies is None and pdp is None:
        fail("nothing decides", "give --policies or --pdp")
    decisions = running.Decisions(*_point(pdp, pdp_token_file), coaz_strict)
    sink = _event_sink(events)
    try:
        # Without policies, every decision is made elsewhere.
        engine = (
            load_engine(policies, entities, state=state, events=sink)
            if policies is not None
            else Engine.from_text(ANYTHING, state=state, events=sink)
        )
    except StoreError as error:
        fail(str(error), status=FAILED)
    except ValueError as error:
        fail(f"--state: {error}")
    acting = _entity(agent, "--agent") if agent is not None else None
    existing_file(pins, "--pins")
    with closing(sink) if sink is not None else nullcontext(), _reported():
        identity = _entity(principal, "--principal") if principal is not None else None
        token_claims = _json(claims, "--claims") if claims is not None else None
        if token_claims is not None and not isinstance(token_claims, dict):
            fail("--claims: the claims of a token are an object")
        who = running.Who(identity, acting, token_claims, listening.settings if listening is not None else None)
        person = _entity(approver, "--approver") if approver is not None else None
        means = running.Means(person, approvals_url, wait)
        gated = running.Gated(engine, who, _targets(command, upstream, config), pins, decisions, means, with_limits)
        if listening is None:
            running.serve(gated)
        else:
            running.serve_http(gated, listening)


@app.command()
def pin(
    pins: PinsOption,
    command: CommandArgument = None,
    upstream: UpstreamOption = None,
    config: ConfigOption = None,
) -> None:
    """Record the current definitions of the servers' tools, after somebody has reviewed them."""
    with _reported():
        count = _running().pin(_targets(command, upstream, config), pins)
    note(f"{count} tools pinned")


@app.command()
def diff(
    pins: PinsOption,
    command: CommandArgument = None,
    upstream: UpstreamOption = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """List the tools that are new, changed or gone. Exit status: 0 there are none; 1 there are some."""
    existing_file(pins, "--pins")
    with _reported():
        differences = _running().diff(_targets(command, upstream, config), pins)
    if json_:
        say_json([{"tool": difference.tool, "what": difference.what} for difference in differences])
    else:
        for difference in differences:
            say(visible(f"{difference.what}: {difference.tool}"))
    if differences:
        raise typer.Exit(FAILED)


@contextmanager
def _reported() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        fail(unusable(error), status=FAILED)
    except ValueError as error:
        fail(str(error), status=FAILED)


def _listening(
    running: Any, http: str | None, token_file: Path | None, auth: Path | None, trusted: list[str] | None
) -> Any:
    """Where clients are served, and who may connect; None on standard streams."""
    if http is None:
        if token_file is not None or auth is not None or trusted:
            fail("--token-file, --auth and --trusted-proxy need --http")
        return None
    try:
        proxies = tuple(ip_network(each) for each in trusted or ())
    except ValueError:
        fail("--trusted-proxy: not a network", "write an address, or a network such as 10.0.0.0/8")
    host, _, port = http.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    if not port.isdecimal() or not 0 < int(port) < 65_536:
        fail(f"--http: `{visible(http)}` names no port", "write :8090, or HOST:8090")
    if auth is not None:
        if token_file is not None:
            fail("--token-file and --auth exclude each other")
        return running.Listening(host, int(port), None, _settings(existing(auth, "--auth")), proxies)
    existing_file(token_file, "--token-file")
    token = token_file.read_text(encoding="utf-8").strip() if token_file is not None else None
    if token is not None and len(token) < SHORTEST_TOKEN:
        fail(f"--token-file: a token has {SHORTEST_TOKEN} characters or more")
    if token is None and not is_loopback(host):
        fail("--http: everyone who can reach this address would act as the principal", "give --token-file or --auth")
    return running.Listening(host, int(port), token, None, proxies)


def _event_sink(path: Path | None) -> Sink | None:
    """Where events are reported; None for nowhere."""
    if path is None:
        return None
    structlog = import_module("structlog")
    # Standard output is for the client.
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    try:
        return telling(load_events(existing(path, "--events"))).everybody
    except WrongSettings as wrong:
        fail(f"--events: {visible('; '.join(wrong.problems))}")


def _settings(path: Path) -> Any:
    try:
        return load_gateway(path)
    except WrongSettings as wrong:
        fail(f"--auth: {visible('; '.join(wrong.problems))}")


def _targets(command: list[str] | None, upstream: list[str] | None, config: Path | None) -> dict[str, Any]:
    existing_file(config, "--config")
    target = import_module("policyengine.mcp.targets")
    try:
        targets: dict[str, Any] = target.read_config(config) if config is not None else {}
    except target.WrongConfig as error:
        fail(f"--config: {error}")
    for given in upstream or ():
        name, separator, url = given.partition("=")
        if not separator or "://" in name:
            name, url = "", given
        if name in targets:
            fail(f"--upstream: two servers are called `{name}`", "write NAME=URL for each")
        targets[name] = target.Target(url=url)
    if command:
        if targets:
            fail("a command, --upstream and --config exclude each other")
        return {"": target.Target(command=tuple(command))}
    if not targets:
        fail("no server is named", "name one: --upstream URL, --config FILE, or `-- COMMAND...`")
    return targets


def _point(pdp: str | None, token_file: Path | None) -> tuple[str | None, str | None]:
    if pdp is None:
        if token_file is not None:
            fail("--pdp-token-file needs --pdp")
        return None, None
    try:
        check_remote(pdp)
    except ValueError as wrong:
        fail(f"--pdp: {wrong}")
    existing_file(token_file, "--pdp-token-file")
    return pdp, token_file.read_text(encoding="utf-8").strip() if token_file is not None else None


def _entity(given: str, option: str) -> Any:
    return understood(read.entity, _json(given, option), option, 'an entity is {"type", "id", ...}')


def _json(given: str, option: str) -> Any:
    if not given.lstrip().startswith("{"):
        existing_file(Path(given), option)
        return read_json(Path(given), option)
    try:
        return parse_json(given)
    except Fault as fault:
        fail(f"{option}: {fault.message}")


def _running() -> Any:
    try:
        return import_module("policyengine.mcp.serving")
    except ImportError:
        fail("the gateway needs `mcp`", "install `policyengine-ai[mcp]`")
