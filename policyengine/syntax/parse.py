"""Text to tree.

In: a Source. Out: a Parsed with the tree and the findings. Never raises because of the text; if it has errors, the tree
holds the statements that could be read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

from lark import Lark, Token, UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from policyengine.diagnostics import codes
from policyengine.diagnostics.diagnostic import Diagnostic, in_order
from policyengine.diagnostics.source import Source
from policyengine.syntax import ast
from policyengine.syntax.advice import advice, sign_at
from policyengine.syntax.build import Build
from policyengine.syntax.characters import suspicious_characters
from policyengine.syntax.comments import COMMENT
from policyengine.syntax.table import parser
from policyengine.syntax.terminal_names import KEYWORDS, expected_words, unexpected_word

MAX_NESTING = 200
# The most characters of one file, and of one quoted text or comment in it.
MAX_FILE, MAX_TEXT = 16_000_000, 65_536
MAX_SYNTAX_ERRORS = 20


@dataclass(frozen=True, slots=True)
class Parsed:
    """The tree of one text, and what was found on the way."""

    module: ast.Module
    diagnostics: tuple[Diagnostic, ...]


def parse(source: Source) -> Parsed:
    """Parse one text. After a syntax error, reading resumes at the next statement, so that one run finds many."""
    beyond = _beyond(source)
    if beyond is not None:
        return Parsed(ast.Module(name=None, uses=(), statements=(), span=source.span(0, 0)), (beyond,))
    diagnostics = suspicious_characters(source)
    name: ast.Name | None = None
    uses: list[ast.Use] = []
    statements: list[ast.Statement] = []
    begin: int | None = 0
    for _ in range(MAX_SYNTAX_ERRORS):
        if begin is None:
            break
        module, diagnostics_here, begin = _parse_from(source, begin)
        diagnostics += diagnostics_here
        if module is not None:
            name = name or module.name
            uses += module.uses
            statements += module.statements
    span = source.span(0, len(source.text))
    tree = ast.Module(name=name, uses=tuple(uses), statements=tuple(statements), comments=_comments(source), span=span)
    return Parsed(tree, in_order(diagnostics))


def grammar() -> str:
    """The text of `policy.lark`: next to this file in an installed package, in `grammar/` in a checkout."""
    here = Path(__file__).parent
    for path in (here / "policy.lark", here.parent.parent / "grammar" / "policy.lark"):
        if path.exists():
            return path.read_text(encoding="utf-8")
    raise FileNotFoundError("policy.lark")


# The parser calls one Build for every text, so one text is parsed at a time.
_LOCK = Lock()


@cache
def _parser() -> tuple[Lark, Build]:
    build = Build()
    return parser(grammar(), build), build


def _tree(lark: Lark, text: str) -> ast.Module:
    module: Any = lark.parse(text)
    assert isinstance(module, ast.Module)
    return module


def _parse_from(source: Source, begin: int) -> tuple[ast.Module | None, list[Diagnostic], int | None]:
    """Parse from an offset: the tree or None, the findings, and where to resume after a syntax error."""
    text = source.text[begin:]
    with _LOCK:
        lark, build = _parser()
        build.begin(source, begin)
        try:
            return _tree(lark, text), build.diagnostics, None
        except UnexpectedInput as error:
            at = _offset(error, text)
            finding = _syntax_error(source, begin + at, error)
            before, after = _around(source.text, begin, begin + at)
            kept = None
            if before > begin:
                build.begin(source, begin)
                try:
                    kept = _tree(lark, source.text[begin:before])
                except UnexpectedInput:
                    kept = None
            return kept, [*build.diagnostics, finding], after


_STATEMENT = re.compile(rf"^(?:{'|'.join(KEYWORDS['statement'])})\b", re.MULTILINE)


def _around(text: str, begin: int, at: int) -> tuple[int, int | None]:
    """The start of the statement that contains an error, and of the next one. Statements start a line."""
    starts = [statement.start() for statement in _STATEMENT.finditer(text)]
    before = max((s for s in starts if begin <= s <= at), default=begin)
    after = min((s for s in starts if s > max(at, before)), default=None)
    return before, after


def _offset(error: UnexpectedInput, text: str) -> int:
    if isinstance(error, UnexpectedToken) and error.token.type == "$END":
        return len(text.rstrip())
    at: Any = error.pos_in_stream
    return int(at or 0)


def _syntax_error(source: Source, at: int, error: UnexpectedInput) -> Diagnostic:
    text = source.text
    if isinstance(error, UnexpectedToken):
        token: Token = error.token
        end = at + max(len(token), 1) if token.type != "$END" else at
        what, allowed = unexpected_word(token), error.accepts or error.expected
    else:
        assert isinstance(error, UnexpectedCharacters)
        end, what, allowed = _unreadable(text, at), "", error.allowed or set()
        if text.startswith('"', at):
            message = "string does not end on its line"
            return Diagnostic(codes.BAD_STRING, source.span(at, end), message, "", 'close it with `"`')
        if not re.match(r"\w", text[at : at + 1]):
            sign = sign_at(text, at)
            message = "a backtick is not allowed here" if sign == "`" else f"`{sign}` is not allowed here"
            span = source.span(at, at + len(sign))
            return Diagnostic(
                codes.BAD_CHARACTER, span, message, "not part of the language", advice(text, at, frozenset(allowed))
            )
        what = f"`{text[at:end]}`"
    label = f"expected {expected_words(allowed, after_condition=_in_condition(text, at))}"
    help_ = advice(text, at, frozenset(allowed))
    return Diagnostic(codes.SYNTAX, source.span(at, end), f"unexpected {what}", label, help_)


_CLAUSE = re.compile(r"\b(?:when|unless|because)\b")


def _in_condition(text: str, at: int) -> bool:
    """Whether an expression precedes the place: the parser forgets that it could have continued."""
    begin, _ = _around(text, 0, at)
    clauses = _CLAUSE.findall(text[begin:at])
    return bool(clauses) and clauses[-1] != "because"


def _unreadable(text: str, at: int) -> int:
    word = re.compile(r'"[^"\n]*"?|\w+|.', re.DOTALL).match(text, at)
    return word.end() if word else at


_TOKENS = re.compile(r'"[^"\\\n]*(?:\\.[^"\\\n]*)*"|#[^\n]*|[(\[{]|[)\]}]|\b(?:not|if|any|all)\b|-(?=\s*-)', re.DOTALL)


def _beyond(source: Source) -> Diagnostic | None:
    """Reports texts that are too long, or nested more deeply than any reader, or the parser, could follow, before they
    are parsed."""
    if len(source.text) > MAX_FILE:
        message = f"the file has more than {MAX_FILE:,} characters"
        return Diagnostic(codes.TOO_LONG, source.span(0, 0), message, "", "split it into several files")
    depth = run = last = 0
    for sign in _TOKENS.finditer(source.text):
        token = sign[0]
        if len(token) > MAX_TEXT:
            span = source.span(sign.start(), sign.start() + 1)
            message = f"a text of more than {MAX_TEXT:,} characters"
            return Diagnostic(codes.TOO_LONG, span, message, "begins here", "keep long texts with the entities")
        if token[0] in "([{":
            depth += 1
        elif token[0] in ")]}":
            depth = max(0, depth - 1)
        elif token[0] not in '"#':
            run = run + 1 if not source.text[last : sign.start()].strip() else 1
            last = sign.end()
        if max(depth, run) > MAX_NESTING:
            span = source.span(sign.start(), sign.end())
            return Diagnostic(codes.TOO_DEEP, span, f"nested deeper than {MAX_NESTING}", "", "split it with `define`")
    return None


def _comments(source: Source) -> tuple[ast.Comment, ...]:
    comments = (m for m in COMMENT.finditer(source.text) if m[1])
    return tuple(ast.Comment(text=m[1].rstrip(), span=source.span(m.start(), m.end())) for m in comments)
