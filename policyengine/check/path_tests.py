"""Findings about tests of paths as plain text: with `..`, a path that begins with a folder leads out of it."""

from __future__ import annotations

import re

from policyengine.check.environment import Findings
from policyengine.diagnostics import codes
from policyengine.ir.nodes import Attribute, Call, Const, Expect, Expr, Like, Local, Refine, Rule
from policyengine.ir.walk import walk
from policyengine.model.types import EntityT, entity

# A name that suggests a path is taken for a path, and so is a value that is compared with a text that looks like a
# folder.
_NAMED = re.compile(r"(?:.*_)?(?:path|paths|file|files|filename|folder|folders|dir|directory|directories)")


def lint_paths(rule: Rule, findings: Findings) -> None:
    """Check the tests of paths in one rule of any kind: a forbid about a folder is evaded the same way."""
    for node in walk(rule.condition):
        match node:
            case Call(function="starts_with", args=(text, start)):
                folder = start.value if isinstance(start, Const) else None
                where = start.span.text if isinstance(folder, str) or _of_entity(start) else "FOLDER"
                more = ", which reads the folder from the entity source" if folder is None and where != "FOLDER" else ""
            case Like(operand=text, pattern=(folder, *rest)) if folder and rest:
                where, more = "FOLDER", ""
            case _:
                continue
        if _is_path(text, folder):
            text = _unwrapped(text)
            more = more or ", with a folder that is constant or from the entity source" * (where == "FOLDER")
            findings.report(
                codes.PATH_AS_TEXT, node.span, "a path is tested as plain text", "`..` in it leads out of the folder",
                f"write `path_under({text.span.text}, {where})`{more}",
            )  # fmt: skip


def _of_entity(expr: Expr) -> bool:
    """Whether the expression reads an attribute of an entity, which the source may know."""
    expr = _unwrapped(expr)
    return isinstance(expr, Attribute) and isinstance(expr.base.type, EntityT) and expr.base.type != entity("Tool")


def _unwrapped(expr: Expr) -> Expr:
    while True:
        match expr:
            case Expect(operand=inner) | Refine(operand=inner) | Call(function="lower", args=(inner,)):
                expr = inner
            case _:
                return expr


def _is_path(text: Expr, folder: object) -> bool:
    text = _unwrapped(text)
    if isinstance(folder, str) and folder.startswith("/"):
        return True
    named = isinstance(text, Attribute | Local) and _NAMED.fullmatch(text.name) is not None
    return named and (not isinstance(folder, str) or "/" in folder)
