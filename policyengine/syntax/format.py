"""The one layout of `.pol` text.

In: a Source, or one node. Out: text with the same meaning: formatting parses its own result, and raises if the tree
differs, or a comment is missing or in another order. Formatting twice changes nothing more. Never reads or writes a
file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from policyengine.diagnostics import codes
from policyengine.diagnostics.diagnostic import Diagnostic, has_errors
from policyengine.diagnostics.source import Source
from policyengine.syntax import ast
from policyengine.syntax.comments import NO_NOTES, place
from policyengine.syntax.layout import render
from policyengine.syntax.layout_expressions import expression, type_
from policyengine.syntax.layout_statements import module, statement
from policyengine.syntax.parse import parse
from policyengine.syntax.walk import same_tree

# A page so wide that no line is too long.
_ENDLESS = 2**31


class FormatFault(RuntimeError):
    """The formatter wrote a text with a different meaning. A bug in the engine, never a mistake in the text."""


@dataclass(frozen=True, slots=True)
class Formatted:
    """`text` is None if the source has errors; `diagnostics` are those of the source."""

    text: str | None
    changed: bool
    diagnostics: tuple[Diagnostic, ...]


def format_source(source: Source) -> Formatted:
    """The text of a module in its one layout. Raises FormatFault rather than return a text with a different meaning."""
    parsed = parse(source)
    if has_errors(parsed.diagnostics):
        return Formatted(None, False, parsed.diagnostics)
    text = _module_text(parsed.module)
    written = parse(Source(source.path, text))
    too_deep = [d for d in written.diagnostics if d.code is codes.TOO_DEEP]
    if too_deep:
        # One more pair of parentheses, added for clarity, was one too many.
        diagnostic = Diagnostic(codes.TOO_DEEP, source.span(0, 0), too_deep[0].message, "", too_deep[0].help)
        return Formatted(None, False, (*parsed.diagnostics, diagnostic))
    _verify(source.path, parsed.module, written.module, written.diagnostics)
    return Formatted(text, text != source.text, parsed.diagnostics)


def format_type(node: ast.TypeExpr) -> str:
    return render(type_(node, NO_NOTES))


def format_expression(node: ast.Expr) -> str:
    """An expression, in parentheses only where its own parts need them."""
    return render(expression(node, NO_NOTES))


def one_line(node: ast.Expr) -> str:
    """An expression as in `format_expression`, but on one line of any length."""
    return render(expression(node, NO_NOTES), width=_ENDLESS)


def format_declaration(node: ast.Statement) -> str:
    """One statement of any kind, without a newline at its end."""
    return render(statement(node, NO_NOTES))


def _module_text(node: ast.Module) -> str:
    places = place(node)
    if len(node.comments) > 1:
        # Each round moves comments further out, until all comments of a statement are before it.
        while (order := _order(render(module(node, places.notes(numbered=True))))) != sorted(order):
            places.reorder(order)
    text = render(module(node, places.notes()))
    return f"{text}\n" if text else ""


_NUMBERED = re.compile(r'"(?:[^"\\\n]|\\.)*"|#([0-9]+)')


def _order(text: str) -> list[int]:
    """The numbers of the comments, in the order of the text."""
    return [int(number[1]) for number in _NUMBERED.finditer(text) if number[1] is not None]


def _verify(path: str, before: ast.Module, after: ast.Module, found: tuple[Diagnostic, ...]) -> None:
    errors = [d.message for d in found if d.is_error]
    if errors:
        raise FormatFault(f"formatting {path} gave text with errors: {errors[0]}")
    if not same_tree(before, after):
        raise FormatFault(f"formatting {path} changed its meaning")
    if [c.text for c in before.comments] != [c.text for c in after.comments]:
        raise FormatFault(f"formatting {path} lost a comment, or moved it past another one")
