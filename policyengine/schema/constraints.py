"""The restrictions of a JSON Schema on a value beyond its type, as bounds and constants of the language.

In: one schema as parsed JSON. Out: what the language can express, and the keywords of what it cannot.

Source: JSON Schema 2020-12 (validation, section 6). Patterns there are ECMA-262 and match anywhere in a text; those
that RE2 does not accept are left out.
"""

from __future__ import annotations

from math import isfinite
from typing import Any

from policyengine.diagnostics.source import Span
from policyengine.model.operators import pattern
from policyengine.model.refined import FORMATS
from policyengine.model.values import INT_MAX, Fault
from policyengine.schema.shapes import Shape, ShapeBound
from policyengine.syntax import ast

MAX_VALUES = 256
MAX_PATTERN = 1_000
_SIZES = {
    "minLength": ("string", "min"), "maxLength": ("string", "max"),
    "minItems": ("array", "min"), "maxItems": ("array", "max"),
}  # fmt: skip
_NUMBERS = {"minimum": "min", "exclusiveMinimum": "above", "maximum": "max", "exclusiveMaximum": "below"}
_IN_ORDER = (*_SIZES, *_NUMBERS, "pattern")
WORDS = frozenset({*_SIZES, *_NUMBERS, "pattern"})


def bounds(schema: dict[str, Any]) -> tuple[tuple[ShapeBound, ...], list[str]]:
    """The bounds, and the keywords that cannot be expressed."""
    read_bounds: list[ShapeBound] = []
    lost: list[str] = []
    for word in (word for word in _IN_ORDER if word in schema):
        value = schema[word]
        if word in _SIZES and (size := _size(value)) is not None:
            read_bounds.append((*_SIZES[word], size))
        elif word in _NUMBERS and _is_number(value):
            read_bounds.append(("number", _NUMBERS[word], value))
        elif word == "pattern" and isinstance(value, str) and _is_pattern(value):
            read_bounds.append(("string", "search", f"(?-s){value}" if "." in value else value))
        else:
            lost.append(word)
    form = schema.get("format")
    if isinstance(form, str) and form in FORMATS:
        read_bounds.append(("string", "format", form))
    return tuple(read_bounds), lost


def _size(value: object) -> int | None:
    """A size. The Gemini API writes 64-bit integers as text, as the JSON of protocol buffers does."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
        return int(value)
    return value if type(value) is int and 0 <= value <= INT_MAX else None


def _is_number(value: object) -> bool:
    return (type(value) is int and abs(value) <= INT_MAX) or (type(value) is float and isfinite(value))


def _is_pattern(text: str) -> bool:
    if len(text) > MAX_PATTERN:
        return False
    try:
        pattern(text)
    except Fault:
        return False
    return True


def values(schema: dict[str, Any]) -> tuple[Any, ...] | None:
    """The values that `enum` and `const` allow; None if they allow any, or one that is not a constant here."""
    listed_values: tuple[Any, ...] | None = None
    listed = schema.get("enum")
    if isinstance(listed, list) and 0 < len(listed) <= MAX_VALUES and all(map(_is_constant, listed)):
        listed_values = tuple(listed)
    if "const" in schema and _is_constant(schema["const"]):
        listed_values = (schema["const"],)
    return listed_values


def _is_constant(value: object) -> bool:
    if isinstance(value, str):
        return not any("\ud800" <= char <= "\udfff" for char in value)
    return value is None or isinstance(value, bool) or _is_number(value)


def literal_types(constants: tuple[Any, ...], span: Span) -> list[ast.TypeExpr]:
    return [ast.LiteralType(value=literal(value, span), span=span) for value in constants]


def literal(value: Any, span: Span) -> ast.Literal:
    match value:
        case None:
            return ast.Literal(value=None, kind="null", span=span)
        case bool():
            return ast.Literal(value=value, kind="bool", span=span)
        case str():
            return ast.Literal(value=value, kind="string", span=span)
    return ast.Literal(value=value, kind="number", text=repr(value), span=span)


def bounds_of(shape: Shape, kind: str, span: Span) -> tuple[ast.Bound, ...]:
    """The bounds of a kind, as they follow its type in the syntax."""
    return tuple(
        ast.Bound(name=ast.Name(text=name, span=span), value=literal(value, span), span=span)
        for of, name, value in shape.bounds
        if of == kind
    )
