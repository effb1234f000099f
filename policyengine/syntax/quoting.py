"""How words are written: names with quotes only where they need them, strings with invisible characters as escapes.

In: names and literals of a tree. Out: the text of one token, which reads back as the same value.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import timedelta
from typing import assert_never

from policyengine.diagnostics.safe_text import FILLERS
from policyengine.model.values import DURATION_UNITS
from policyengine.syntax import ast

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
# Controls, formats (bidirectional among them), surrogates, separators.
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp", "Zs"})
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|u\{([0-9A-Fa-f]{1,6})\}|.)", re.DOTALL)


def bare_or_quoted(name: ast.Name, reserved: frozenset[str] = frozenset()) -> str:
    """A name, if both forms are allowed. `reserved` words have another meaning there unless quoted."""
    if _IDENTIFIER.fullmatch(name.text) and name.text not in reserved:
        return name.text
    return quoted(name)


# Words that start an expression other than an entity; in a test, `on` begins the request.
_NO_TYPES = frozenset({"not", "if", "any", "all", "true", "false", "null", "on"})


def type_of_entity(name: ast.Name) -> str:
    """The type before `::`."""
    return bare_or_quoted(name, _NO_TYPES)


def is_identifier(text: str) -> bool:
    """Whether a name needs no quotes if both forms are allowed."""
    return _IDENTIFIER.fullmatch(text) is not None


def member(name: ast.Name) -> str:
    """`.name`, or `["name"]` for a name that is not an identifier. After a dot every word is a name, even a keyword."""
    return f".{name.text}" if _IDENTIFIER.fullmatch(name.text) else f"[{quoted(name)}]"


def quoted(name: ast.Name) -> str:
    return _string(name.text, _escaped_by_author(name.span.text))


def literal(node: ast.Literal) -> str:
    match node.kind:
        case "string":
            return _string(str(node.value), _escaped_by_author(node.span.text))
        case "number":
            return node.text or repr(node.value)
        case "duration":
            assert isinstance(node.value, timedelta)
            return node.text or _duration(node.value)
        case "bool":
            return "true" if node.value else "false"
        case "null":
            return "null"
        case _:
            assert_never(node.kind)


def string(text: str) -> str:
    """A string literal with this value."""
    return _string(text, frozenset())


def _string(text: str, escaped: frozenset[str]) -> str:
    return '"' + "".join(_character(char, escaped) for char in text) + '"'


def _character(char: str, escaped: frozenset[str]) -> str:
    if char in _SHORT:
        return _SHORT[char]
    if char not in escaped and (" " <= char <= "~" or not _hidden(char)):
        return char
    return f"\\u{ord(char):04x}" if ord(char) <= 0xFFFF else f"\\u{{{ord(char):x}}}"


def _hidden(char: str) -> bool:
    return unicodedata.category(char) in _HIDDEN_CATEGORIES or char in FILLERS


def _escaped_by_author(written: str) -> frozenset[str]:
    """Characters beyond ASCII that the text wrote as escapes: authors do so to distinguish look-alikes."""
    codes = (int(escape[1] or escape[2], 16) for escape in _ESCAPE.finditer(written) if escape[1] or escape[2])
    return frozenset(chr(code) for code in codes if 0x7F < code <= 0x10FFFF)


def _duration(value: timedelta) -> str:
    units = sorted(DURATION_UNITS.items(), key=lambda unit: unit[1], reverse=True)
    unit, length = next((u for u in units if value % u[1] == timedelta(0)), units[-1])
    return f"{value // length}{unit}"
