"""`policyengine schema`: what policies can speak about."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from textwrap import wrap
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from policyengine.cli.check import count
from policyengine.cli.console import FAILED, fail, note, report, say, say_json, stderr, stdout
from policyengine.cli.fmt import write
from policyengine.cli.loading import JsonOption, PolicyPath, QuietOption, existing, load_valid, read_json, read_text
from policyengine.cli.strict_options import Command
from policyengine.diagnostics.safe_text import visible
from policyengine.diagnostics.source import Source
from policyengine.explain.display import json_value
from policyengine.model.types import RecordField
from policyengine.schema.schema import Schema
from policyengine.schema.tool_import import Imported, import_tools, to_source
from policyengine.schema.tool_stream import read_documents
from policyengine.schema.tool_update import update

EXPECTED = (
    "expected one JSON value, one on each line, or server-sent events that carry one each; "
    "take out what is not a message of the server"
)
schema = typer.Typer(help="The schema of policies: show it, or import tools.", no_args_is_help=True)


@schema.command("import", cls=Command)
def import_(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="a file of JSON, JSON Lines or server-sent events; - for standard input"),
    ],
    live: Annotated[
        list[str] | None,
        typer.Argument(metavar="[URL|COMMAND...]", help="after `mcp`: a server to ask", show_default=False),
    ] = None,
    module: Annotated[str, typer.Option(metavar="NAME", help="the module to write")] = "tools",
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="the tool's name, where the JSON does not tell", show_default=False),
    ] = None,
    prefix: Annotated[
        str,
        typer.Option(
            metavar="TEXT", help="a prefix for the name of every tool, for servers with equal names", show_default=False
        ),
    ] = "",
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="write there, not to standard output", show_default=False)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="overwrite --out where it exists")] = False,
    update_: Annotated[
        Path | None,
        typer.Option(
            "--update",
            metavar="FILE",
            help="update a file of an earlier import, and show what changed",
            show_default=False,
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="with --update: write nothing, and fail if tools changed")
    ] = False,
    trust_annotations: Annotated[
        bool, typer.Option("--trust-annotations", help="trust a server that says that a tool touches nothing outside")
    ] = False,
    quiet: QuietOption = False,
) -> None:
    """Turn an MCP tools/list answer, function definitions or a JSON Schema into `tool` declarations.

    `schema import mcp URL`, or `schema import mcp -- COMMAND...`, asks a running server. From a file, it
    reads definitions in the forms of OpenAI, Anthropic, Amazon Bedrock and Gemini, registries' lists of arguments,
    one JSON value on each line, and server-sent events.

    What could not be carried over exactly is noted on standard error and in the text. With --update, `facts` and
    everything else that people wrote into the file stay, and so do tools that are no longer offered. Exit status: 0
    done, 1 no tool found, or changes with --check, 2 wrong usage or not JSON.
    """
    if update_ is not None and out is not None:
        fail("--out and --update exclude each other", "name the one that is to be brought up to date")
    if check and update_ is None:
        fail("--check needs a file to update", "such as `--update tools.pol --check`")
    document = (
        _offered(live) if str(file) == "mcp" and live else read_json(file, parse=read_documents, expected=EXPECTED)
    )
    try:
        imported = import_tools(document, module=module, name=name, prefix=prefix, trust_annotations=trust_annotations)
    except ValueError as error:
        fail(f"--prefix: {error}")
    try:
        text = to_source(imported, module)
    except ValueError as error:
        fail(f"--module: {error}")
    if not quiet:
        for note_ in imported.notes:
            place = ": ".join(part for part in (note_.tool, note_.path) if part)
            note(f"note: {place}: {note_.message}" if place else f"note: {note_.message}")
    if not imported.tools:
        fail("no tool found", "expected an MCP tools/list answer, function definitions or a JSON Schema", FAILED)
    if update_ is not None:
        _update(update_, imported, check, quiet)
        return
    if out is None:
        typer.echo(text, nl=False)
        return
    if os.path.lexists(out) and not force:
        fail(f"--out: {out} exists", "--force overwrites it; corrections made there would be lost")
    write(out, text)
    if not quiet:
        note(f"wrote {count(len(imported.tools), 'tool')} to {out}")


def _offered(live: list[str]) -> Any:
    """A server's description of its tools, as a tools/list answer."""
    try:
        running, targets = import_module("policyengine.mcp.serving"), import_module("policyengine.mcp.targets")
    except ImportError:
        fail("asking a server needs `mcp`", "install `policyengine-ai[mcp]`")
    is_url = len(live) == 1 and live[0].startswith(("http://", "https://"))
    target = targets.Target(url=live[0]) if is_url else targets.Target(command=tuple(live))
    try:
        return {"tools": list(running.definitions_of({"": target}).values())}
    except (OSError, ValueError, RuntimeError, ExceptionGroup):
        fail("the server could not be asked", status=FAILED)


_SIGNS = {"new": "+", "changed": "~", "gone": "-"}
_WORDS = {"new": "new", "changed": "changed", "gone": "not offered any more, and kept"}


def _update(path: Path, imported: Imported, check: bool, quiet: bool) -> None:
    source = Source(str(path), read_text(existing(path, "--update")))
    updated = update(source, imported)
    if updated.text is None:
        report(updated.diagnostics, stderr())
        fail(f"--update: {path} cannot be read as policies", "it is left as it was", FAILED)
    for change in updated.drift:
        say(f"{_SIGNS[change.kind]} {visible(change.tool)}: {_WORDS[change.kind]}")
        if change.kind == "changed" and not quiet:
            for sign, text in (("-", change.before), ("+", change.now)):
                for line in text.split("\n"):
                    say(visible(f"    {sign} {line}"))
    if check:
        raise typer.Exit(FAILED if updated.drift else 0)
    if updated.text != source.text:
        write(path, updated.text)
    if not quiet:
        note(f"{count(len(updated.drift), 'tool')} differed from {path}" if updated.drift else f"{path} is up to date")


@schema.command("show", cls=Command)
def show(path: PolicyPath, json: JsonOption = False) -> None:
    """List the entity types, actions, tools, context and obligations that rules can use."""
    snapshot = load_valid(path).snapshot
    assert snapshot is not None
    if json:
        say_json(_as_json(snapshot.schema))
    else:
        _print(snapshot.schema, stdout())


def _fields(fields: Any) -> str:
    """`name: Type, other?: Type`."""
    return ", ".join(f"{name}{_optional(field)}: {field.type}" for name, field in sorted(dict(fields).items()))


def _optional(field: RecordField) -> str:
    return "?" if field.optional else ""


def _types(names: frozenset[str] | None) -> str:
    return "any" if names is None else ", ".join(sorted(names))


def _print(found: Schema, console: Console) -> None:
    entities = [
        (e.name + (f" in {_types(e.parents)}" if e.parents else ""), _fields(e.attributes))
        for e in found.entities.values()
    ]
    actions = [
        (f"{a.name}({_fields(a.attributes)})" if a.attributes else a.name,
         f"on {_types(a.resources)} for {_types(a.principals)}")
        for a in found.actions.values()
    ]  # fmt: skip
    tools = [
        (t.name, ", ".join(filter(None, [_fields(t.args.fields), _returns(t.returns), _facts(t.facts)])))
        for t in found.tools.values()
    ]
    context = [(f"{c.name}{_optional(c.field)}", str(c.field.type)) for c in found.context.values()]
    obligations = [(o.name, _fields(o.params)) for o in found.obligations.values()]
    groups = {"entities": entities, "actions": actions, "tools": tools, "context": context, "obligations": obligations}
    first = True
    for title, rows in groups.items():
        if not rows:
            continue
        if not first:
            say("")
        first = False
        console.print(Text(title, "bold"))
        column = max(len(name) for name, _ in rows) + 4
        for name, what in sorted(rows):
            room = max(20, console.width - column)
            for i, part in enumerate(wrap(what, room, break_long_words=False, break_on_hyphens=False) or [""]):
                head = f"  {name}".ljust(column) if i == 0 else " " * column
                line = Text.assemble((visible(head), "cyan"), visible(part))
                line.rstrip()
                console.print(line, soft_wrap=True)


def _returns(returns: Any) -> str:
    return f"returns {returns.type}" if returns is not None else ""


def _facts(facts: Any) -> str:
    return "".join(["{ ", ", ".join(f"{k}: {str(v).lower()}" for k, v in sorted(facts.items())), " }"]) if facts else ""


def _as_json(found: Schema) -> dict[str, Any]:
    def fields(of: Any) -> list[dict[str, Any]]:
        return [{"name": n, "type": str(f.type), "optional": f.optional} for n, f in sorted(dict(of).items())]

    def names(of: frozenset[str] | None) -> list[str] | None:
        return None if of is None else sorted(of)

    return {
        "entities": [
            {"name": e.name, "module": e.module, "parents": sorted(e.parents), "attributes": fields(e.attributes)}
            for _, e in sorted(found.entities.items())
        ],
        "actions": [
            {"name": a.name, "resources": names(a.resources), "principals": names(a.principals),
             "attributes": fields(a.attributes)}
            for _, a in sorted(found.actions.items())
        ],
        "tools": [
            {"name": t.name, "module": t.module, "args": fields(t.args.fields), "facts": json_value(dict(t.facts))}
            for _, t in sorted(found.tools.items())
        ],
        "context": [
            {"name": c.name, "type": str(c.field.type), "optional": c.field.optional}
            for _, c in sorted(found.context.items())
        ],
        "obligations": [{"name": o.name, "properties": fields(o.params)} for _, o in sorted(found.obligations.items())],
    }  # fmt: skip
