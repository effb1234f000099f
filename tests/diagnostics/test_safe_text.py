"""Everything that shows text agrees about what is safe to show."""

from __future__ import annotations

import json

import pytest

from policyengine.diagnostics import codes
from policyengine.diagnostics.diagnostic import Diagnostic
from policyengine.diagnostics.render import concise, human
from policyengine.diagnostics.safe_text import escaped, hidden, is_safe, one_line, visible
from policyengine.diagnostics.source import Source
from policyengine.explain.display import brief
from policyengine.schema.tool_import import import_tools, to_source
from policyengine.syntax.characters import suspicious_characters
from policyengine.syntax.quoting import string

HIDDEN = (
    "\u3164", "\u115f", "\u1160", "\u034f", "\ufe0f", "\u180b", "\u2800", "\uffa0", "\U000e0100", "\U000e0041",
    "\u200b", "\u202e", "\u2066", "\ufeff", "\x1b", "\x7f", "\x85", "\xad", "\u2028",
)  # fmt: skip
each_hidden = pytest.mark.parametrize("char", HIDDEN, ids=lambda char: f"U+{ord(char):04X}")


@each_hidden
def test_every_way_to_show_text_escapes_it(char: str) -> None:
    text = f"a{char}b"
    at = Source(f"{text}.pol", f"permit {text}").span(0, 8)
    finding = Diagnostic(codes.SYNTAX, at, text, text, text)
    imported = import_tools({"name": text, "description": text, "inputSchema": {}})
    shown = [
        visible(text), one_line(text), escaped(text), brief(text), brief({text: [text]}), string(text),
        human(finding), concise(finding), to_source(imported, "tools"), *(note.message for note in imported.notes),
    ]  # fmt: skip
    assert [one for one in shown if char in one] == []
    assert hidden(char)
    assert not is_safe(text)


@each_hidden
def test_a_policy_that_holds_it_gets_a_warning(char: str) -> None:
    if char not in "\u2800":  # a pattern of no dots shows as a blank, and is a letter of Braille
        assert suspicious_characters(Source("m.pol", f'# "a{char}b"')) != []


@pytest.mark.parametrize("text", ["", "plain", "Größe", "日本語", "emoji 👍", "combined e\u0301", "ไทย"])
def test_what_shows_is_left_alone(text: str) -> None:
    assert visible(text) == one_line(text) == escaped(text) == text


@each_hidden
def test_json_stays_what_it_is(char: str) -> None:
    text = json.dumps({"a": f"x{char}y"}, ensure_ascii=False)
    assert json.loads(visible(text)) == {"a": f"x{char}y"}
