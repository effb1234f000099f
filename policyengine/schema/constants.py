"""Constant expressions as plain JSON values: the facts of tools, the data of tests.

In: a tree, and values for names, such as the columns of a table. Out: a JSON value. Anything that is not a constant is
a finding.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from policyengine.diagnostics import codes
from policyengine.diagnostics.diagnostic import Diagnostic
from policyengine.syntax import ast

_NONE: Mapping[str, Any] = MappingProxyType({})


def constant(expr: ast.Expr, diagnostics: list[Diagnostic], names: Mapping[str, Any] = _NONE) -> Any:
    """The plain JSON value of a constant expression, as a caller would send it."""
    match expr:
        case ast.Literal(value=value, kind="duration"):
            return expr.text or milliseconds(value)
        case ast.Literal(value=value):
            return value
        case ast.Unary(op="-", operand=ast.Literal(value=value, kind="number")):
            return -value  # type: ignore[operator]
        case ast.EntityLit(type=type_, id=id_):
            return {"type": type_.text, "id": id_.text}
        case ast.ListLit(items=items):
            return [constant(item, diagnostics, names) for item in items]
        case ast.RecordLit():
            return constant_record(expr, diagnostics, names)
        case ast.Ref(name=name) if name in names:
            return names[name]
    help_ = f'write a string in quotes: `"{expr.name}"`' if isinstance(expr, ast.Ref) else ""
    diagnostics.append(
        Diagnostic(codes.NOT_CONSTANT, expr.span, "constant expected", "only plain values are allowed here", help_)
    )
    return None


def constant_record(
    record: ast.RecordLit | None, diagnostics: list[Diagnostic], names: Mapping[str, Any] = _NONE
) -> dict[str, Any]:
    """The plain JSON object of a record; a key that appears twice is a finding."""
    values: dict[str, Any] = {}
    for entry in record.entries if record is not None else ():
        if entry.key.text in values:
            diagnostics.append(Diagnostic(codes.DUPLICATE, entry.key.span, f"`{entry.key.text}` appears twice"))
        values[entry.key.text] = constant(entry.value, diagnostics, names)
    return values


def milliseconds(value: Any) -> str:
    assert isinstance(value, timedelta)
    return f"{value // timedelta(milliseconds=1)}ms"
