"""The formatter: what it writes means the same, keeps every comment, and is what it would write again."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policyengine.diagnostics import codes
from policyengine.diagnostics.source import Source
from policyengine.syntax import ast
from policyengine.syntax import format as formatting
from policyengine.syntax.format import (
    FormatFault,
    format_declaration,
    format_expression,
    format_source,
    format_type,
)
from policyengine.syntax.parse import parse
from tests.support import trees
from tests.support.golden import assert_golden

CASES = sorted(p for p in (Path(__file__).parent / "cases").glob("*.pol") if not p.name.endswith(".formatted.pol"))


def formatted(text: str) -> str:
    result = format_source(Source("test.pol", text))
    assert result.text is not None, [d.message for d in result.diagnostics]
    return result.text


def read(text: str) -> ast.Module:
    parsed = parse(Source("test.pol", text))
    assert not [d for d in parsed.diagnostics if d.is_error], (text, parsed.diagnostics)
    return parsed.module


def written(module: ast.Module) -> str:
    """A text for a tree, without the layout of whole modules."""
    header = [f"module {module.name.text}"] if module.name else []
    uses = [f"use {use.name.text}" for use in module.uses]
    return "\n".join([*header, *uses, *(format_declaration(s) for s in module.statements)])


def comments(text: str) -> list[str]:
    return [comment.text for comment in read(text).comments]


@pytest.mark.parametrize("text", ["use any", "use any, x", "expect allow owing any", "expect allow owing x, any"])
def test_names_that_take_no_quotes_get_none(text: str) -> None:
    whole = f'test "t" {{\n  {text}\n}}\n'
    assert formatted(whole) == whole


# ---- laws ----


@given(trees.modules)
def test_a_tree_is_read_back_from_its_text(module: ast.Module) -> None:
    assert read(written(module)) == module
    assert read(formatted(written(module))) == module


@given(trees.modules)
def test_formatting_twice_changes_nothing(module: ast.Module) -> None:
    once = formatted(written(module))
    assert formatted(once) == once


@given(trees.modules, st.data())
def test_every_comment_is_kept_in_order_and_the_layout_is_stable(module: ast.Module, data: st.DataObject) -> None:
    text = data.draw(disturbed(written(module)))
    once = formatted(text)
    assert read(once) == module
    assert comments(once) == comments(text)
    assert formatted(once) == once


@given(trees.modules)
def test_no_invisible_character_is_left(module: ast.Module) -> None:
    found = parse(Source("test.pol", written(module))).diagnostics
    assert codes.INVISIBLE_CHARACTER not in [d.code for d in found]


@given(trees.expressions)
def test_an_expression_is_read_back_from_its_text(node: ast.Expr) -> None:
    (define,) = read(f"define x: {format_expression(node)}").statements
    assert isinstance(define, ast.Define)
    assert define.body == node


@given(trees.types)
def test_a_type_is_read_back_from_its_text(node: ast.TypeExpr) -> None:
    (declared,) = read(f"context x: {format_type(node)}").statements
    assert isinstance(declared, ast.ContextDecl)
    assert declared.type == node


@given(trees.modules)
def test_lines_have_no_blanks_at_their_end(module: ast.Module) -> None:
    text = formatted(written(module))
    assert not re.search(r"[ \t]$", text, re.MULTILINE)
    assert "\n\n\n" not in text
    assert text == "" or (text.endswith("\n") and not text.endswith("\n\n"))


_TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*"|[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?\w*|\w+|::|\.\.\.|[=!<>]=|\S')
_SPACES = [
    " ",
    " ",
    "\n",
    "\n\n\n",
    " # {}\n",
    "\n# {}\n",
    "\n\n  # {}\n\n# same\n",
    " # {}\r\n",
    '\t#{} "quoted" {{[(\n',
]


@st.composite
def disturbed(draw: st.DrawFn, text: str) -> str:
    """The same tokens with comments and line breaks at random places between them."""
    tokens = [found[0] for found in _TOKEN.finditer(text)]
    where = draw(st.dictionaries(st.integers(0, len(tokens)), st.sampled_from(_SPACES), max_size=12))
    pieces = []
    for i, token in enumerate([*tokens, ""]):
        pieces += [where.get(i, " ").format(i), token]
    return "".join(pieces)


def statements() -> list[str]:
    """Of every kind: those of the cases, without their comments, and tools with and without each of their parts."""
    texts = [path.read_text(encoding="utf-8") for path in CASES]
    found = [
        text[one.span.start : one.span.end]
        for text in texts
        for one in parse(Source("test.pol", text)).module.statements
    ]
    bare = [re.sub(r'("(?:[^"\\\n]|\\.)*")|#[^\n]*', lambda m: m[1] or "", text) for text in found]
    tools = [
        f"tool a({parameters}){returns}{facts}"
        for parameters in ("", "x: String(max: 5)", "x: { y: Int }, z: Json")
        for returns in ("", " returns String", " returns List<{ y: Int trusted, z: {} }>")
        for facts in ("", " { mutating: true }")
    ]
    return [*bare, *tools]


@pytest.mark.parametrize("comment", [" # c\n", "\n# c\n"])
def test_a_comment_may_stand_between_any_two_words(comment: str) -> None:
    count = 0
    for text in statements():
        for word in _TOKEN.finditer(text):
            disturbed_text = f"{text[: word.end()]}{comment}{text[word.end() :]}"
            if not parse(Source("test.pol", disturbed_text)).diagnostics:
                once = formatted(disturbed_text)
                assert comments(once) == ["# c"]
                assert formatted(once) == once
                count += 1
    assert count > 1_000


# ---- examples ----


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_case(path: Path) -> None:
    text = formatted(path.read_text(encoding="utf-8"))
    assert_golden(path.with_suffix(".formatted.pol"), text)
    assert formatted(text) == text


EXPRESSIONS = [
    ("(a and b) and c", "a and b and c"),
    ("a and (b and c)", "a and (b and c)"),
    ("a and (b or c) or ((d))", "a and (b or c) or d"),
    ("not a == b", "not (a == b)"),
    ("not (a.b)", "not a.b"),
    ("not not (a and b)", "not not (a and b)"),
    ("(a == b) == c", "(a == b) == c"),
    ("a - (b - c) - -d", "a - (b - c) - -d"),
    ("-(a + b) * c", "-(a + b) * c"),
    ("a and any x in (xs): (x)", "a and any x in xs: x"),
    ("a and (any x in xs: x) and b", "a and (any x in xs: x) and b"),
    ("not (any x in xs: x) or b", "not (any x in xs: x) or b"),
    ("(a and any x in xs: x) or b", "a and (any x in xs: x) or b"),
    ("if a then b else (if c then d else e)", "if a then b else if c then d else e"),
    ("(if a then b else c) == d", "(if a then b else c) == d"),
    ('a["b"]["if"]["c d"]["\\u0430"]', 'a.b.if["c d"]["\\u0430"]'),
    ('a has "b"."c d"', 'a has b."c d"'),
    (
        '"\\u202e\\u{1F600}\\/\\u0041" in ["\u0430", 1e3, 0.10, 15m,]',
        '"\\u202e\\u{1f600}/A" in ["\u0430", 1e3, 0.10, 15m]',
    ),
    ('{"a": 1, "b c": {}}', '{ a: 1, "b c": {} }'),
]


@pytest.mark.parametrize(("text", "expected"), EXPRESSIONS, ids=[text for text, _ in EXPRESSIONS])
def test_expression(text: str, expected: str) -> None:
    assert formatted(f"define x: {text}") == f"define x: {expected}\n"


# What is inside keeps its place, and what comes after it goes behind or out, never before it.
ORDERED = [
    ("define x: f(a # one\n) # two\n > 0", "define x:\n  f(\n    a,  # one\n  ) > 0  # two\n"),
    (
        "permit p: a on B when size(\n c\n # one\n ) # two\n > 0",
        "permit p: a on B\n  when size(\n    c,\n    # one\n  ) > 0  # two\n",
    ),
    (
        'test "t"\n# one\n{ # two\n p User::"a" { b: 1 # three\n } # four\n in G::"g" }',
        '# one\ntest "t" {  # two\n  p User::"a" {\n    b: 1,  # three\n  } in G::"g"  # four\n}\n',
    ),
    (
        'test "t" { p User::"a" in G::"g" # one\n { b: 1 # two\n } # three\n}',
        'test "t" {\n  # one\n  p User::"a" {\n    b: 1,  # two\n  } in G::"g"  # three\n}\n',
    ),
    ("entity A { b: Int # one\n} # two\nin C # three\n", "# one\n# two\nentity A in C { b: Int }  # three\n"),
    ("tool a(x: String) # one\nreturns String # two\n", "# one\ntool a(x: String) returns String  # two\n"),
    (
        "tool a(x: String) # one\nreturns String # two\n{ mutating: true } # three\n",
        "tool a(x: String) returns String  # one\n  # two\n  { mutating: true }  # three\n",
    ),
    (
        "tool a(x: String) # one\nreturns List<{ y: Int }> # two\n{ mutating: true } # three\n",
        "# one\n# two\ntool a(x: String) returns List<{ y: Int }>\n  { mutating: true }  # three\n",
    ),
]


@pytest.mark.parametrize(("text", "expected"), ORDERED, ids=[text[:24] for text, _ in ORDERED])
def test_comments_pass_no_other(text: str, expected: str) -> None:
    assert formatted(text) == expected


@pytest.mark.parametrize("text", ["", "\n\n", "  \r\n"])
def test_nothing_stays_nothing(text: str) -> None:
    assert formatted(text) == ""


def test_only_comments() -> None:
    assert formatted("\n# a\n\n\n#b") == "# a\n\n#b\n"


def test_changed_tells_whether_the_text_differs() -> None:
    assert format_source(Source("x", "module  a")).changed
    assert not format_source(Source("x", "module a\n")).changed


@pytest.mark.parametrize(
    "text", ["permit", 'define x: "\\q"', "permit a: b on any when c when d", "define x: 99999999999999999999"]
)
def test_text_with_errors_is_left_alone(text: str) -> None:
    result = format_source(Source("x", text))
    assert (result.text, result.changed) == (None, False)
    assert any(d.is_error for d in result.diagnostics)


def test_warnings_do_not_stop_it() -> None:
    result = format_source(Source("x", 'define x: "\u202e"'))
    assert result.text == 'define x: "\\u202e"\n'
    assert [d.code for d in result.diagnostics] == [codes.INVISIBLE_CHARACTER]


LONG = [
    "define x: " + " and ".join(["a"] * 2000),
    "define x: a" + ".b" * 2000,
    "define x: " + "a + " * 2000 + "a",
    "define x: " + "if a then b else " * 2000 + "c",
    "define x: " + "any x in xs: " * 500 + "c",
    "define x: " + "any x in xs: if a then b else not " * 500 + "c",
    "define x: " + "[" * 199 + "a" + "]" * 199,
    "context x: " + "Set<" * 1000 + "Int" + ">" * 1000,
]


@pytest.mark.parametrize("text", LONG, ids=[text[:24] for text in LONG])
def test_trees_may_be_deep(text: str) -> None:
    once = formatted(text)
    assert formatted(once) == once


def test_parentheses_for_clarity_that_nest_too_deep_are_a_finding() -> None:
    result = format_source(Source("x", "define x: " + "[" * 200 + "not a == b" + "]" * 200))
    assert result.text is None
    assert [d.code for d in result.diagnostics] == [codes.TOO_DEEP]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("define x: b # c\n", "changed its meaning"),
        ("define x: a\n", "lost a comment"),
        ("# d\ndefine x: a # c", "lost a comment"),
        ("define x", "errors"),
    ],
)
def test_refuses_text_that_means_another_thing(monkeypatch: pytest.MonkeyPatch, wrong: str, message: str) -> None:
    monkeypatch.setattr(formatting, "_module_text", lambda module: wrong)
    with pytest.raises(FormatFault, match=message):
        format_source(Source("x", "define x: a # c"))
