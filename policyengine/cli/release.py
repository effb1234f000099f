"""`policyengine release`, `admit` and `detokenize`: the part of a text that may be released, or may go into a model,
and a text with its tokenized values restored."""

from __future__ import annotations

import re
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from policyengine.cli.console import DENY, colored, fail, note, say_json, stdout
from policyengine.cli.loading import (
    STDIN,
    CacheOption,
    EntitiesOption,
    JsonOption,
    PolicyPath,
    existing_file,
    load_engine,
    read_json,
)
from policyengine.cli.request import RequestOption, read_request
from policyengine.cli.texts import (
    CanariesOption,
    ConfigOption,
    KeyFileOption,
    LanguagesOption,
    RegionsOption,
    texts,
)
from policyengine.diagnostics.safe_text import visible
from policyengine.explain.display import decision_json
from policyengine.release.inspection import Inspection
from policyengine.release.released import Released
from policyengine.release.uploads import File

TextArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="the text or file; - for standard input", show_default=False)
]
FulfilsOption = Annotated[
    list[str] | None,
    typer.Option("--fulfils", metavar="TYPE,...", help="types of obligation that the caller will fulfil"),
]
# The mark where something was cut.
_CUT = re.compile(r"\[[a-z][a-z0-9_.]*(?::[a-z2-7]+)?\]|\*{4}\S{0,8}")


def release(
    path: PolicyPath,
    request: RequestOption,
    file: TextArgument = Path(STDIN),
    sources: Annotated[
        Path | None, typer.Option("--sources", metavar="FILE", help="JSON: the documents in the context window")
    ] = None,
    entities: EntitiesOption = None,
    fulfils: FulfilsOption = None,
    key_file: KeyFileOption = None,
    regions: RegionsOption = None,
    languages: LanguagesOption = None,
    canaries: CanariesOption = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
    cache: CacheOption = True,
) -> None:
    """Print the part of a text that may be released, after the policies' decision and with all obligations carried out.

    The request is one to `release` an `Output`, as for `decide`. Findings are listed on standard error, without values.
    Exit status: 0 it may be released, as printed; 3 it may not; 1 the policies are invalid; 2 wrong usage.
    """
    engine = load_engine(path, entities, cache, _inspection(config, key_file, regions, languages, canaries))
    asked = read_request(request)
    if asked["action"] != "release" or asked["resource"]["type"] != "Output":
        fail("this is not a request to release an output", 'its action is "release", and its resource of type `Output`')
    known = None
    if sources is not None:
        existing_file(sources, "--sources")
        known = read_json(sources, "--sources")
        if type(known) is not list or not all(type(document) is dict for document in known):
            fail("--sources: a list of documents, each an object")
    output = {name: value for name, value in asked["resource"].items() if name != "type"}
    released = engine.release(
        _text(_bytes(file)),
        principal=asked["principal"],
        output=output,
        sources=known,
        context=asked["context"],
        fulfilled=_names(fulfils),
    )
    _show(released, released.text, json_)


def admit(
    path: PolicyPath,
    request: RequestOption,
    file: TextArgument = Path(STDIN),
    messages: Annotated[bool, typer.Option("--messages", help="FILE is JSON: messages for a model")] = False,
    entities: EntitiesOption = None,
    fulfils: FulfilsOption = None,
    key_file: KeyFileOption = None,
    regions: RegionsOption = None,
    languages: LanguagesOption = None,
    canaries: CanariesOption = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
    cache: CacheOption = True,
) -> None:
    """Print the part of a text, a file or messages that may go into a model.

    The request is one to `invoke` a `Model`, as for `decide`. A FILE is what its bytes are; with --messages it is a
    JSON list of messages. Exit status: 0 it may go in, as printed; 3 it may not; 1 the policies are invalid; 2 wrong
    usage.
    """
    engine = load_engine(path, entities, cache, _inspection(config, key_file, regions, languages, canaries))
    asked = read_request(request)
    if asked["action"] != "invoke" or asked["resource"]["type"] != "Model":
        fail("this is not a request to invoke a model", 'its action is "invoke", and its resource of type `Model`')
    given: Any
    if messages:
        given = read_json(file, "FILE")
        if type(given) is not list:
            fail("FILE: with --messages it is a list of messages")
    else:
        data = _bytes(file)
        given = _text(data) if file == Path(STDIN) else File(file.name, data)
    admitted = engine.admit(
        given,
        principal=asked["principal"],
        model=asked["resource"],
        context=asked["context"],
        fulfilled=_names(fulfils),
    )
    left = admitted.text.data.decode() if isinstance(admitted.text, File) and _is_text(admitted.text) else admitted.text
    _show(admitted, left, json_)


def detokenize(
    path: PolicyPath,
    request: RequestOption,
    file: TextArgument = Path(STDIN),
    entities: EntitiesOption = None,
    fulfils: FulfilsOption = None,
    key_file: KeyFileOption = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
    cache: CacheOption = True,
) -> None:
    """Print a text with its tokenized values restored, if the policies allow it.

    The request is one to `detokenize` an `Output`, as for `decide`; its `tenant` says whose tokens they are. Exit
    status: 0 the values are restored, as printed; 3 they are not; 1 the policies are invalid; 2 wrong usage.
    """
    engine = load_engine(path, entities, cache, _inspection(config, key_file))
    asked = read_request(request)
    if asked["action"] != "detokenize" or asked["resource"]["type"] != "Output":
        fail("this is not a request to detokenize", 'its action is "detokenize", and its resource of type `Output`')
    given = engine.detokenize(
        _text(_bytes(file)),
        principal=asked["principal"],
        output={name: value for name, value in asked["resource"].items() if name != "type"},
        context=asked["context"],
        fulfilled=_names(fulfils),
    )
    _show(given, given.text, json_)


def _inspection(
    config: Path | None,
    key_file: Path | None,
    regions: str | None = None,
    languages: str | None = None,
    canaries: Path | None = None,
) -> Inspection:
    """How texts are inspected."""
    return texts(config, key_file=key_file, regions=regions, languages=languages, canaries=canaries).inspection()


def _show(released: Released, left: Any, json_: bool) -> None:
    if json_:
        shown = f"{left.name}: as it is" if isinstance(left, File) else left
        say_json(
            {
                "allowed": released.allowed,
                "text": shown if released.allowed else None,
                "decision": decision_json(released.decision),
                "findings": [asdict(finding) for finding in released.findings],
                "errors": [asdict(error) for error in released.errors],
            }
        )
    else:
        for finding in released.findings:
            place = f"{finding.path}:" if finding.path else ""
            note(visible(f"found {finding.kind} at {place}{finding.start}-{finding.end}"))
        if released.allowed:
            _print(left)
        else:
            note(visible(f"not released: {released.reason}"))
    if not released.allowed:
        raise typer.Exit(DENY)


def _print(left: Any) -> None:
    if isinstance(left, File):
        note(visible(f"{left.name} may go in as it is"))
        return
    if not isinstance(left, str):
        say_json(left)
        return
    if not colored(stdout()):
        # A file or a pipe gets the text and nothing else.
        sys.stdout.write(left)
        return
    shown = "\n".join(visible(line) for line in left.split("\n"))
    typer.echo(_CUT.sub(lambda cut: f"\x1b[30;43m{cut.group()}\x1b[0m", shown))


def _names(fulfils: list[str] | None) -> list[str]:
    return [name.strip() for option in fulfils or () for name in option.split(",")]


def _bytes(file: Path) -> bytes:
    if file == Path(STDIN):
        if sys.stdin is None:
            fail("there is no standard input")
        return sys.stdin.buffer.read()
    existing_file(file, "FILE")
    return file.read_bytes()


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        fail("FILE: not UTF-8", "for other files, use `policyengine admit`")


def _is_text(file: File) -> bool:
    try:
        file.data.decode()
    except UnicodeDecodeError:
        return False
    return True
