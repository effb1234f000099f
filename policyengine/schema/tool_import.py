"""Tool declarations from what tools say of themselves.

In: parsed JSON, as one of: an MCP `tools/list` answer (in its JSON-RPC envelope or not, or its list of tools alone);
function definitions for OpenAI (Chat Completions, Responses, or the older `functions`) or Anthropic; one JSON Schema.
Out: `tool` declarations and notes on all that they do not say. Never raises for any JSON, reads no file, trusts
nothing: a declaration's types admit every argument that the tool takes (see `json_schema.py`), and its facts assume
the worst.

Sources: MCP schema 2024-11-05 to 2026-07-28, `Tool` and `ToolAnnotations` (hints, which "clients should never" base
decisions on unless they trust the server; `openWorldHint` is true by default).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from policyengine.diagnostics.safe_text import escaped, hidden
from policyengine.diagnostics.source import Source, Span
from policyengine.schema.json_schema import Reading, parameters, writable
from policyengine.syntax import ast
from policyengine.syntax.format import format_declaration

FACTS = ("sends_outside", "reads_untrusted")
MAX_COMMENT = 100
_HINTS = ("readOnlyHint", "destructiveHint", "idempotentHint")
_SCHEMA_KEYS = ("inputSchema", "input_schema", "parameters")
_SCHEMA_WORDS = frozenset({"$schema", "$ref", "$defs", "properties", "allOf", "anyOf", "oneOf"})


@dataclass(frozen=True, slots=True)
class ImportNote:
    """Something that could not be carried over exactly. `tool` is empty where there is no tool to name; `path` is a
    JSON Pointer into the document. Each is one line and safe to print: unprintable characters stand as escapes."""

    tool: str
    path: str
    message: str


@dataclass(frozen=True, slots=True)
class ImportedTool:
    """A tool as declared, with its own words about itself (as they came), and its place in the document."""

    declaration: ast.ToolDecl
    description: str
    path: str


@dataclass(frozen=True, slots=True)
class Imported:
    tools: tuple[ImportedTool, ...]
    notes: tuple[ImportNote, ...]

    @property
    def declarations(self) -> tuple[ast.ToolDecl, ...]:
        return tuple(tool.declaration for tool in self.tools)


@dataclass(frozen=True, slots=True)
class _Definition:
    """What one tool says of itself, whatever the dialect. `schema` is None where it has no parameters."""

    name: object
    description: object
    schema: object
    schema_path: str
    annotations: object
    path: str


@dataclass(frozen=True, slots=True)
class _Skipped:
    path: str
    message: str


def import_tools(
    document: object, *, module: str | None = None, name: str | None = None, trust_annotations: bool = False
) -> Imported:
    """Every tool of the document, in its order.

    `module` names the text that the declarations' spans belong to. `name` is for a single definition that has no name
    of its own, and goes before the title of a JSON Schema. With `trust_annotations`, an MCP server's word that a tool
    touches nothing outside is taken.
    """
    span = Span(Source(f"{module or 'tools'}.pol", ""), 0, 0)
    tools: dict[str, ImportedTool] = {}
    notes: list[ImportNote] = []
    spent = 0
    for found in _definitions(document, name):
        if isinstance(found, _Skipped):
            notes.append(_note("", found.path, found.message))
            continue
        tool, complaint = _name(found)
        shown = escaped(tool)
        if complaint or tool in tools:
            notes.append(_note(shown, found.path, complaint or "named a second time, so not imported"))
            continue
        reading = Reading(found.schema, found.schema_path, spent)
        declaration = _declare(tool, found, reading, span, trust_annotations)
        spent += reading.spent
        description = found.description if isinstance(found.description, str) else ""
        tools[tool] = ImportedTool(declaration, description, found.path)
        notes += (_note(shown, path, message) for path, message in reading.notes)
    return Imported(tuple(tools.values()), tuple(notes))


def _note(tool: str, path: str, message: str) -> ImportNote:
    return ImportNote(tool, escaped(path), escaped(message))


# ---- what the document holds ----


def _definitions(document: object, name: str | None) -> Iterator[_Definition | _Skipped]:
    if isinstance(document, list):
        yield from _items(document, "")
        return
    if not isinstance(document, dict):
        yield _Skipped("", "no tools here: expected an object or a list of tools")
        return
    answer, path = document, ""
    if isinstance(document.get("result"), dict):
        answer, path = document["result"], "/result"
    lists = [key for key in ("tools", "functions") if isinstance(answer.get(key), list)]
    for key in lists:
        yield from _items(answer[key], f"{path}/{key}")
    if lists and answer.get("nextCursor") is not None:
        yield _Skipped(f"{path}/nextCursor", "the list goes on: the tools on its next pages are not imported")
    if not lists:
        yield _unlisted(document, name)


def _unlisted(document: dict[str, object], name: str | None) -> _Definition | _Skipped:
    """The one tool that a document without a list describes."""
    if "jsonrpc" in document:
        return _Skipped("", "an answer without a list of tools")
    return _definition(document, "", name)


def _items(items: list[object], path: str) -> Iterator[_Definition | _Skipped]:
    for i, item in enumerate(items):
        yield _definition(item, f"{path}/{i}")


def _definition(item: object, path: str, name: str | None = None) -> _Definition | _Skipped:
    if not isinstance(item, dict):
        return _Skipped(path, "not a tool")
    kind, inner = item.get("type"), item.get("function")
    if isinstance(inner, dict):
        return _described(inner, f"{path}/function", name)
    if any(key in item for key in _SCHEMA_KEYS):
        return _described(item, path, name)
    if kind == "object" or _SCHEMA_WORDS & item.keys():
        return _Definition(name or _schema_name(item), item.get("description"), item, path, None, path)
    if kind in (None, "function") and ("name" in item or name):
        return _described(item, path, name)
    if isinstance(kind, str):
        return _Skipped(path, f"a tool of type `{_one_line(kind, 40)}`, whose arguments are not described here")
    return _Skipped(path, "not a tool")


def _described(item: dict[str, object], path: str, name: str | None) -> _Definition:
    key = next((key for key in _SCHEMA_KEYS if item.get(key) is not None), None)
    schema, schema_path = (item[key], f"{path}/{key}") if key else (None, path)
    own = item.get("name", name)
    return _Definition(own, item.get("description"), schema, schema_path, item.get("annotations"), path)


def _schema_name(schema: dict[str, object]) -> object:
    """`title`, or the last part of `$id` without its file endings."""
    title, id_ = schema.get("title"), schema.get("$id")
    if isinstance(title, str) and title:
        return title
    if isinstance(id_, str):
        last = re.split(r"[/:]", re.split(r"[?#]", id_)[0].rstrip("/"))[-1]
        return last.removesuffix(".json").removesuffix(".schema")
    return None


def _name(found: _Definition) -> tuple[str, str]:
    """The name, and why the tool cannot be declared under it."""
    match found.name:
        case "" | None:
            return "", "a tool without a name, so not imported"
        case str() as name:
            return name, "" if writable(name) else "a tool whose name is no text, so not imported"
        case _:
            return "", "a tool whose name is no text, so not imported"


# ---- one declaration ----


def _declare(name: str, found: _Definition, reading: Reading, span: Span, trust: bool) -> ast.ToolDecl:
    outside = _reaches_outside(found, reading, trust)
    fact = ast.Literal(value=outside, kind="bool", text="true" if outside else "false", span=span)
    facts = tuple(ast.Entry(key=ast.Name(text=word, span=span), value=fact, span=span) for word in FACTS)
    params: tuple[ast.FieldDecl, ...] = ()
    if found.schema is None:
        reading.note(found.path, "describes no arguments, and no rule can read one")
    else:
        params = parameters(reading, span)
    return ast.ToolDecl(
        name=ast.Name(text=name, span=span), params=params, facts=ast.RecordLit(entries=facts, span=span), span=span
    )


def _reaches_outside(found: _Definition, reading: Reading, trust: bool) -> bool:
    """Whether to assume that the tool sends data out and brings untrusted data in."""
    if not isinstance(found.annotations, dict):
        return True
    path, hint = f"{found.path}/annotations", found.annotations.get("openWorldHint", True)
    unused = [f"`{word}`" for word in _HINTS if word in found.annotations]
    if unused:
        reading.note(path, f"hints that no rule can read: {', '.join(unused)}")
    if not isinstance(hint, bool):
        reading.note(f"{path}/openWorldHint", "not a boolean, so taken as true")
        return True
    if not hint and not trust:
        reading.note(f"{path}/openWorldHint", "false is only the server's word, so the facts stay true")
    return hint or not trust


# ---- text ----


def to_source(imported: Imported, module: str) -> str:
    """A complete `.pol` text: the declarations, each under what the tool says of itself and what was not carried over.

    `module` is a name (letters, digits, `_`); ValueError otherwise.
    """
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", module):
        raise ValueError("a module's name is letters, digits and `_`, and does not start with a digit")
    notes: dict[str, list[ImportNote]] = defaultdict(list)
    for note in imported.notes:
        notes[note.tool].append(note)
    blocks = [f"module {module}\n\nuse ai"]
    if imported.tools:
        blocks.append(
            "# Facts are the worst case unless a tool's word was trusted. Correct them for tools that you know."
        )
    declared = {escaped(tool.declaration.name.text) for tool in imported.tools}
    blocks += ["\n".join(_comment(n) for n in of_tool) for name, of_tool in notes.items() if name not in declared]
    blocks += [_block(tool, notes[escaped(tool.declaration.name.text)]) for tool in imported.tools]
    return "\n\n".join(blocks) + "\n"


def _block(tool: ImportedTool, notes: list[ImportNote]) -> str:
    description = _one_line(tool.description, MAX_COMMENT)
    lines = [f"# {description}"] if description else []
    lines += [_comment(note, tool.path) for note in notes]
    return "\n".join([*lines, format_declaration(tool.declaration).rstrip("\n")])


def _comment(note: ImportNote, under: str = "") -> str:
    path = _one_line(note.path.removeprefix(escaped(under)), MAX_COMMENT)
    return f"# note: {path}: {note.message}" if path else f"# note: {note.message}"


def _one_line(text: str, limit: int) -> str:
    """The text in one line of at most `limit` characters: spaces for white space, unprintable characters left out."""
    head = text[: limit * 4]
    shown = " ".join("".join(c for c in head if c.isspace() or not hidden(c)).split())
    return shown if len(shown) <= limit and len(head) == len(text) else shown[: limit - 3].rstrip() + "..."
