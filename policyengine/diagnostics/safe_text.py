"""Text that is safe to show: nothing in it hides, reorders what stands beside it, or is obeyed by a terminal.

The only place that says which characters those are. In: any text, however it came. Out: the same text with escapes.
"""

from __future__ import annotations

import json
import re

# Invisible, though Unicode counts them as letters or marks and Python as printable: joiners, fillers, and selectors of
# variants.
FILLERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180e\u180f\u2800\u3164\uffa0") | {
    chr(code) for code in (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))
}
_FILLERS = re.compile(f"[{''.join(sorted(FILLERS))}]")


def hidden(char: str) -> bool:
    """Whether a character does not show as itself: controls, formats, surrogates, fillers, spaces but the usual one."""
    return not char.isprintable() or char in FILLERS


def is_safe(text: str) -> bool:
    """Whether the text shows as it is."""
    return text.isprintable() and (text.isascii() or _FILLERS.search(text) is None)


def visible(text: str) -> str:
    """The text with escapes as JSON has them, so JSON text stays what it is."""
    return text if is_safe(text) else "".join(_in_json(c) if hidden(c) else c for c in text)


def _in_json(char: str) -> str:
    return json.dumps(char)[1:-1] if char != "\x7f" else "\\u007f"


def one_line(text: str) -> str:
    """The text in one line, for people: tabs as spaces, escapes as short as they can be."""
    if is_safe(text):
        return text
    return "".join(_short(c) if hidden(c) else c for c in text.replace("\n", "\\n").replace("\t", "    "))


def _short(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\u{{{code:x}}}"


def escaped(text: str) -> str:
    """The text with escapes as policies have them, such as `\\u{200b}`."""
    return text if is_safe(text) else "".join(f"\\u{{{ord(c):x}}}" if hidden(c) else c for c in text)
