"""Importing tools again, into a text that an earlier import wrote and people have worked on since.

In: the text, and what was imported. Out: the text with the current declarations, and how they differ from the previous
ones. Statements of `facts`, comments, rules, tools that are no longer offered and everything else stay as they are,
because people wrote them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from policyengine.diagnostics.diagnostic import Diagnostic, has_errors
from policyengine.diagnostics.safe_text import escaped
from policyengine.diagnostics.source import Source
from policyengine.schema.declare import MAX_TYPE_DEPTH
from policyengine.schema.tool_import import Imported, ImportedTool, block
from policyengine.schema.tool_result import marks
from policyengine.syntax import ast
from policyengine.syntax.format import format_declaration
from policyengine.syntax.parse import parse

CLAIMED = "claimed_"


@dataclass(frozen=True, slots=True)
class Drift:
    """How a tool differs: it is new, its declaration has changed, or it is no longer offered (and stays). `before` and
    `now` are declarations, empty if there is none."""

    tool: str
    kind: Literal["new", "changed", "gone"]
    before: str = ""
    now: str = ""


@dataclass(frozen=True, slots=True)
class Updated:
    """`text` is None, with the findings, if the existing text cannot be read."""

    text: str | None
    drift: tuple[Drift, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()


def update(source: Source, imported: Imported) -> Updated:
    """The text with the tools as they are declared now."""
    parsed = parse(source)
    if has_errors(parsed.diagnostics):
        return Updated(None, (), parsed.diagnostics)
    declared = {s.name.text: s for s in parsed.module.statements if isinstance(s, ast.ToolDecl)}
    stated = {s.name.text for s in parsed.module.statements if isinstance(s, ast.FactsDecl)}
    offered = {tool.declaration.name.text: tool for tool in imported.tools}
    drift: list[Drift] = []
    edits: list[tuple[int, int, str]] = []
    for name, before in declared.items():
        if name not in offered:
            drift.append(Drift(escaped(name), "gone", _text(before)))
            continue
        now = _with_facts(offered[name].declaration, before)
        # Declarations are compared after formatting, because one tree can be written in several ways.
        if _text(now) != _text(before):
            drift.append(Drift(escaped(name), "changed", _text(before), _text(now)))
            comments = [c.text for c in parsed.module.comments if _inside(c, before)]
            edits.append((before.span.start, before.span.end, "\n".join([*comments, _text(now)])))
    new_tools = [tool for name, tool in offered.items() if name not in declared]
    drift += (Drift(escaped(t.declaration.name.text), "new", "", _text(t.declaration)) for t in new_tools)
    text = source.text
    for start, end, replacement in sorted(edits, reverse=True):
        text = text[:start] + replacement + text[end:]
    for tool in new_tools:
        text = f"{text.rstrip()}\n\n{_block(tool, imported, tool.declaration.name.text not in stated)}\n"
    reparsed = parse(Source(source.path, text))
    if has_errors(reparsed.diagnostics):
        return Updated(None, (), reparsed.diagnostics)
    return Updated(text, tuple(sorted(drift, key=lambda one: (one.kind, one.tool))))


def _with_facts(now: ast.ToolDecl, before: ast.ToolDecl) -> ast.ToolDecl:
    """The current declaration with what people added to the previous one: its facts, and its result type if they marked
    parts of it, or if no server gives one. Claims are updated."""
    if before.returns is not None and (now.returns is None or any(marks(before.returns, MAX_TYPE_DEPTH))):
        now = replace(now, returns=before.returns)
    entries = before.facts.entries if before.facts is not None else ()
    own = tuple(entry for entry in entries if not entry.key.text.startswith(CLAIMED))
    claims = now.facts.entries if now.facts is not None else ()
    if not own and not claims:
        return now
    # In the previous order, as far as there is one.
    order = {entry.key.text: place for place, entry in enumerate(entries)}
    facts = sorted((*own, *claims), key=lambda entry: order.get(entry.key.text, len(order)))
    return replace(now, facts=ast.RecordLit(entries=tuple(facts), span=now.span))


def _inside(comment: ast.Comment, declaration: ast.ToolDecl) -> bool:
    return declaration.span.start <= comment.span.start < declaration.span.end


def _text(declaration: ast.ToolDecl) -> str:
    return format_declaration(declaration).rstrip("\n")


def _block(tool: ImportedTool, imported: Imported, facts: bool) -> str:
    name = escaped(tool.declaration.name.text)
    return block(tool, [note for note in imported.notes if note.tool == name], facts=facts)
