"""Findings about tests of paths as plain text: `..` leads out of a folder that a text begins with."""

from __future__ import annotations

import re

from policyengine.check.environment import Findings
from policyengine.diagnostics import codes
from policyengine.ir.nodes import Attribute, Call, Const, Expect, Expr, Like, Local, Refine, Rule
from policyengine.ir.walk import walk
from policyengine.model.types import EntityT, entity

# What is called like a path is taken for one, and so is what is compared with a text that reads like a folder.
_NAMED = re.compile(r"(?:.*_)?(?:path|paths|file|files|filename|folder|folders|dir|directory|directories)")


def lint_paths(rule: Rule, findings: Findings) -> None:
    """The tests of paths in one rule, whatever its kind: a forbid of a folder is evaded in the same way."""
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
    """Whether it is an attribute of an entity, which the source may know."""
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
