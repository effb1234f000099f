"""Tool declarations from the tools' own definitions.

In: parsed JSON that defines tools, in any dialect that `tool_definitions.py` knows, or a list of such documents. Out:
`tool` declarations, assumed `facts` for each, and notes on everything that they do not express. Never raises for any
JSON, reads no file, trusts nothing: a declaration's types admit every argument that the tool takes (see
`json_schema.py`), the worst is assumed, and a server's claims become facts with other names.

Sources: MCP schema 2024-11-05 to 2026-07-28, `Tool` and `ToolAnnotations` (hints, which "clients should never" base
decisions on unless they trust the server; `openWorldHint` is true by default).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from policyengine.diagnostics.safe_text import escaped
from policyengine.diagnostics.source import Source, Span
from policyengine.schema.imported_schema import ImportedSchema, writable
from policyengine.schema.json_schema import parameters, result
from policyengine.schema.tool_definitions import Definition, Skipped, definitions, one_line
from policyengine.syntax import ast
from policyengine.syntax.format import format_declaration

FACTS = ("sends_outside", "reads_untrusted")
MAX_COMMENT = 100
SECOND = "named a second time, so not imported; import each server by itself, with a `--prefix` of its own"
# The facts for a server's claims, each with the value that is used if the claim is not a boolean.
_CLAIMS = {"readOnlyHint": ("claimed_read_only", False), "destructiveHint": ("claimed_destructive", True)}


@dataclass(frozen=True, slots=True)
class ImportNote:
    """Something that could not be expressed exactly. `tool` is empty if no tool can be named; `path` is a JSON Pointer
    into the document. Each note is one line and safe to print: unprintable characters are escaped."""

    tool: str
    path: str
    message: str


@dataclass(frozen=True, slots=True)
class ImportedTool:
    """A tool as declared, the facts assumed of it, its own description (unchanged), and its place in the document. Its
    server's claims are part of the declaration, and are updated with each import."""

    declaration: ast.ToolDecl
    facts: ast.FactsDecl
    description: str
    path: str


@dataclass(frozen=True, slots=True)
class Imported:
    tools: tuple[ImportedTool, ...]
    notes: tuple[ImportNote, ...]

    @property
    def declarations(self) -> tuple[ast.ToolDecl, ...]:
        return tuple(tool.declaration for tool in self.tools)

    @property
    def statements(self) -> tuple[ast.Statement, ...]:
        """All statements: each declaration, and the facts assumed of it."""
        return tuple(part for tool in self.tools for part in (tool.declaration, tool.facts))


def import_tools(
    document: object,
    *,
    module: str | None = None,
    name: str | None = None,
    prefix: str = "",
    trust_annotations: bool = False,
) -> Imported:
    """Every tool of the document, in order.

    `module` names the text that the declarations' spans belong to. `name` is for a single definition that has no name
    of its own, and takes precedence over the title of a JSON Schema. `prefix` is put before every name; ValueError if
    it is not text. With `trust_annotations`, an MCP server's statement that a tool touches nothing outside is believed.
    """
    if not writable(prefix):
        raise ValueError("a prefix must be text")
    span = Span(Source(f"{module or 'tools'}.pol", ""), 0, 0)
    tools: dict[str, ImportedTool] = {}
    notes: list[ImportNote] = []
    spent = 0
    for definition in definitions(document, name):
        if isinstance(definition, Skipped):
            notes.append(_note("", definition.path, definition.message))
            continue
        tool, complaint = _name(definition, prefix)
        shown = escaped(tool)
        if complaint or tool in tools:
            notes.append(_note(shown, definition.path, complaint or SECOND))
            continue
        imported = ImportedSchema(definition.schema, definition.schema_path, spent)
        declaration, facts = _declare(tool, definition, imported, span, trust_annotations)
        returned = ImportedSchema(definition.result, definition.result_path, spent + imported.spent)
        if definition.result is not None:
            declaration = replace(declaration, returns=result(returned, span))
        spent += imported.spent + returned.spent
        description = definition.description if isinstance(definition.description, str) else ""
        tools[tool] = ImportedTool(declaration, facts, description, definition.path)
        notes += (_note(shown, path, message) for path, message in definition.notes)
        notes += (_note(shown, definition.place(path), message) for path, message in imported.notes)
        notes += (_note(shown, path, message) for path, message in returned.notes)
    return Imported(tuple(tools.values()), tuple(notes))


def _note(tool: str, path: str, message: str) -> ImportNote:
    return ImportNote(tool, escaped(path), escaped(message))


def _name(found: Definition, prefix: str) -> tuple[str, str]:
    """The name, and why the tool cannot be declared with it."""
    match found.name:
        case "" | None:
            return "", "a tool without a name, so not imported"
        case str() as name:
            return prefix + name, "" if writable(name) else "a tool whose name is not text, so not imported"
        case _:
            return "", "a tool whose name is not text, so not imported"


# ---- one declaration ----


def _declare(
    name: str, found: Definition, imported: ImportedSchema, span: Span, trust: bool
) -> tuple[ast.ToolDecl, ast.FactsDecl]:
    named = ast.Name(text=name, span=span)
    outside = _reaches_outside(found, imported, trust)
    assumed = _record([(word, outside) for word in FACTS], span)
    claimed = _claimed(found, imported)
    params: tuple[ast.FieldDecl, ...] = ()
    if found.schema is None:
        imported.note(found.path, "describes no arguments, and no rule can read one")
    else:
        params = parameters(imported, span)
    claims = _record(claimed, span) if claimed else None
    return (
        ast.ToolDecl(name=named, params=params, facts=claims, span=span),
        ast.FactsDecl(name=named, facts=assumed, span=span),
    )


def _record(facts: list[tuple[str, bool]], span: Span) -> ast.RecordLit:
    entries = tuple(
        ast.Entry(
            key=ast.Name(text=word, span=span),
            value=ast.Literal(value=value, kind="bool", text="true" if value else "false", span=span),
            span=span,
        )
        for word, value in facts
    )
    return ast.RecordLit(entries=entries, span=span)


def _claimed(found: Definition, imported: ImportedSchema) -> list[tuple[str, bool]]:
    """A server's claims, under names that mark them as claims."""
    claims: list[tuple[str, bool]] = []
    if isinstance(found.annotations, dict):
        for hint, (word, worst) in _CLAIMS.items():
            if hint not in found.annotations:
                continue
            claim = found.annotations[hint]
            if not isinstance(claim, bool):
                path = f"{found.path}/annotations/{hint}"
                imported.note(path, f"not a boolean, so taken as {'true' if worst else 'false'}")
            claims.append((word, claim if isinstance(claim, bool) else worst))
    return claims


def _reaches_outside(found: Definition, imported: ImportedSchema, trust: bool) -> bool:
    """Whether to assume that the tool sends data out and brings untrusted data in."""
    if not isinstance(found.annotations, dict):
        return True
    path, hint = f"{found.path}/annotations", found.annotations.get("openWorldHint", True)
    if "idempotentHint" in found.annotations:
        imported.note(path, "a hint that no rule can read: `idempotentHint`")
    if not isinstance(hint, bool):
        imported.note(f"{path}/openWorldHint", "not a boolean, so taken as true")
        return True
    if not hint and not trust:
        imported.note(f"{path}/openWorldHint", "false is only the server's claim, so the facts stay true")
    return hint or not trust


# ---- text ----


def to_source(imported: Imported, module: str) -> str:
    """A complete `.pol` text: the declarations, each after the tool's own description and the notes.

    `module` is a name (letters, digits, `_`); ValueError otherwise.
    """
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", module):
        raise ValueError("the name of a module must be letters, digits and `_`, and must not start with a digit")
    notes: dict[str, list[ImportNote]] = defaultdict(list)
    for note in imported.notes:
        notes[note.tool].append(note)
    blocks = [f"module {module}\n\nuse ai"]
    if imported.tools:
        blocks.append(
            "# `facts` are the worst case unless a tool's word was trusted. Correct them for tools that you know:\n"
            "# importing again with `--update` leaves them alone."
        )
    declared = {escaped(tool.declaration.name.text) for tool in imported.tools}
    blocks += ["\n".join(_comment(n) for n in of_tool) for name, of_tool in notes.items() if name not in declared]
    blocks += [block(tool, notes[escaped(tool.declaration.name.text)]) for tool in imported.tools]
    return "\n\n".join(blocks) + "\n"


def block(tool: ImportedTool, notes: Sequence[ImportNote], *, facts: bool = True) -> str:
    """The declaration, after the tool's own description, with the assumed facts unless they are stated already."""
    description = one_line(tool.description, MAX_COMMENT)
    lines = [f"# {description}"] if description else []
    lines += [_comment(note, tool.path) for note in notes]
    lines.append(format_declaration(tool.declaration).rstrip("\n"))
    if facts:
        lines.append(format_declaration(tool.facts).rstrip("\n"))
    return "\n".join(lines)


def _comment(note: ImportNote, under: str = "") -> str:
    path = one_line(note.path.removeprefix(escaped(under)), MAX_COMMENT)
    return f"# note: {path}: {note.message}" if path else f"# note: {note.message}"
