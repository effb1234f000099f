"""`policyengine state`: the operators' commands for the state store. A block denies someone or something, whatever the
policies say."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from policyengine.blocks.block import KINDS, Block
from policyengine.callers.key_views import date
from policyengine.cli.authorize import cancel, renew, settle
from policyengine.cli.console import FAILED, note, say, say_json
from policyengine.cli.durations import duration
from policyengine.cli.keys import ConfigOption
from policyengine.cli.loading import JsonOption
from policyengine.cli.sessions import session, unlabel
from policyengine.cli.state_store import ByOption, StateOption, me, opened
from policyengine.cli.usage import changes, credit, raise_, reset, usage
from policyengine.diagnostics.safe_text import visible
from policyengine.events.sink import Nowhere
from policyengine.state.block_calls import Blocks
from policyengine.state.windows import SECOND

app = typer.Typer(help="Limits, sessions and blocks in a state store.", no_args_is_help=True)

for command in (settle, renew, cancel, usage, reset, credit, raise_, changes, session, unlabel):
    app.command(command.__name__.rstrip("_"))(command)

KindArgument = Annotated[str, typer.Argument(metavar="KIND", help=f"one of {', '.join(KINDS)}", show_default=False)]
IdArgument = Annotated[str, typer.Argument(metavar="ID", help='an id, or a type and an id: User::"ann"')]
WhyOption = Annotated[str, typer.Option("--why", help="the reason, shown to everyone who is denied")]


@app.command()
def block(
    kind: KindArgument,
    id_: IdArgument,
    for_: Annotated[
        str | None, typer.Option("--for", metavar="DURATION", help="for how long, such as 1h; for ever if not given")
    ] = None,
    why: WhyOption = "",
    by: ByOption = "",
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Block someone or something, on every node within a second."""
    seconds = None if for_ is None else duration(for_, "--for")
    with opened(state, config) as store:
        made = Blocks(store, Nowhere()).block(kind, id_, seconds=seconds, why=why, by=by or me())  # type: ignore[arg-type]
    say(visible(f"blocked: {_line(made)}"))


@app.command()
def unblock(
    kind: KindArgument,
    id_: IdArgument,
    why: Annotated[str, typer.Option("--why", help="kept with the list")] = "",
    by: ByOption = "",
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Lift a block, named exactly as it was set. Exit status 1 if there is none."""
    with opened(state, config) as store:
        blocks = Blocks(store, Nowhere())
        before = {(each.kind, each.shown) for each in blocks.list()}
        blocks.unblock(kind, id_, why=why, by=by or me())  # type: ignore[arg-type]
    if (kind, id_) not in before:
        note(visible(f"nothing was blocked under this name: {kind} {id_}"))
        raise typer.Exit(FAILED)
    say(visible(f"unblocked: {kind} {id_}"))


@app.command()
def void(
    why: Annotated[str, typer.Option("--why", help="the reason, in the event")] = "",
    by: ByOption = "",
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Void all earlier sessions and approvals, on every node within a second. Use it after restoring the store."""
    with opened(state, config) as store:
        Blocks(store, Nowhere()).void(why=why, by=by or me())
    say("void: all sessions and approvals from before")


@app.command("list")
def list_(state: StateOption = None, config: ConfigOption = None, json_: JsonOption = False) -> None:
    """List who and what is blocked now."""
    with opened(state, config) as store:
        blocked = Blocks(store, Nowhere()).list()
    if json_:
        say_json([_value(each) for each in blocked])
        return
    for each in blocked:
        say(visible(_line(each)))
    if not blocked:
        note("nobody is blocked")


def _line(found: Block) -> str:
    until = f"until {date(found.until / SECOND)}" if found.until else "for ever"
    parts = [f"{found.kind} {found.shown}", until, *([found.why] if found.why else [])]
    return ", ".join([*parts, *([f"by {found.by}"] if found.by else [])])


def _value(found: Block) -> dict[str, Any]:
    return {
        "kind": found.kind,
        "id": found.shown,
        "until": date(found.until / SECOND) if found.until else None,
        "why": found.why,
        "by": found.by,
        "at": date(found.at / SECOND),
    }
