"""Diagnostics as they are printed: every format of every text below, kept in `golden/`.

An escape character is written as `␛` there, so that the files can be looked at on a terminal.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from policyengine.bundle import load_text
from policyengine.diagnostics import codes
from policyengine.diagnostics.diagnostic import Diagnostic, Note
from policyengine.diagnostics.render import as_json, concise, human, summary
from policyengine.diagnostics.source import Source
from tests.support.golden import assert_golden

GOLDEN = Path(__file__).parent / "golden"
HEAD = "module m\nuse ai\n"

RULE = "permit p: retrieve on Document\n"
TEXTS = {
    "plain": RULE + '  when document.ownr == "x"\n',
    "note": RULE + "forbid p: retrieve on Document\n",
    "many": "permit a: retreive on Document\n" + "\n" * 7 + RULE + '  when document.ownr == "x"\n',
    "warning": "permit p: any on any\n",
    "tabs": RULE + '\twhen\tdocument.owner == "x"\tand document.ownr\t== "y"\n',
    "wide": RULE + '  when document.owner == "東京" and document.ownr == "y"\n',
    "combining": RULE + '  when document.owner == "e\u0301\u0301" and document.ownr == "y"\n',
    "many_lines": RULE + "  when document.owner ==\n       principal\n",
    "crlf": RULE.replace("\n", "\r\n") + '  when document.ownr == "x"\r\n  because "y"\r\n',
    "carriage_return": RULE + "# a comment\rforbid f: retrieve on Document\n",
    "end_of_text": RULE + "  when document.owner ==",
    "end_of_text_after_newlines": "permit p: retrieve on\n\n\n",
    "control_characters": RULE + '  when document.owner == "\x1b[31m\x9b\x07\x00" and document.ownr\n',
    "control_characters_in_a_name": 'permit p: "\x1b]0;pwned\x07" on Document\n',
    "reordering": RULE + '  when document.owner == "\u202e\u2066x\u2069" and document.ownr\n',
    "hidden": RULE + '  when document.owner == "a\u200b\U000e0041b" and document.ownr\n',
    "line_separators": RULE + '  when document.owner == "a\u2028b\x0b\x0c" and document.ownr\n',
    "surrogates": RULE + '  when document.owner == "\ud800" and document.ownr\n',
    "confusable": RULE + '  when document.owner == "\u0430dmin"\n',
    "byte_order_mark": "\ufeff" + RULE,
}


@pytest.mark.parametrize("name", TEXTS)
def test_formats(name: str) -> None:
    text = TEXTS[name] if name == "byte_order_mark" else HEAD + TEXTS[name]
    found = load_text(text, "policies/m.pol").diagnostics
    assert_golden(GOLDEN / f"{name}.txt", _in_every_format(found))


def test_a_path_cannot_steer_the_terminal() -> None:
    span = Source("a\x1b[2J\nb.pol", "x").span(0, 1)
    found = Diagnostic(codes.SYNTAX, span, "message\nof two lines", "\x1b[1mlabel", "\u202ehelp", (Note(span, "\x07"),))
    assert_golden(GOLDEN / "hostile_path.txt", _in_every_format((found,)))


@pytest.mark.parametrize("render", [human, lambda d: human(d, True), concise, lambda d: json.dumps(as_json(d))])
def test_every_format_can_be_encoded(render: Callable[[Diagnostic], str]) -> None:
    for text in TEXTS.values():
        for found in load_text(HEAD + text, "m.pol").diagnostics:
            assert render(found).encode("utf-8")


def test_a_file_without_text() -> None:
    found = Diagnostic(codes.UNREADABLE, Source("policies/m.pol", "").span(0, 0), "cannot read it: permission denied")
    assert_golden(GOLDEN / "no_text.txt", _in_every_format((found,)))


def _in_every_format(found: tuple[Diagnostic, ...]) -> str:
    parts = [
        "---- human",
        *map(human, found),
        "---- human, in colour",
        *(human(d, color=True).replace("\x1b", "␛") for d in found),
        "---- concise",
        *map(concise, found),
        "---- json",
        json.dumps([as_json(d) for d in found], indent=1),
        "---- summary",
        summary(found),
    ]
    return "\n".join(parts) + "\n"
