"""The terminals of the grammar in words, for messages."""

from __future__ import annotations

from collections.abc import Iterable

from lark import Token

_STATEMENT = (
    "module", "use", "type", "entity", "extend", "action", "tool", "facts", "context", "obligation", "define",
    "permit", "forbid", "require", "limit", "label", "prove", "test", "fixture",
)  # fmt: skip
_OPERATOR = ("and", "or", "in", "has", "is", "like")
_OTHER = (
    "not", "if", "then", "else", "any", "all", "true", "false", "null", "when", "unless", "because", "on", "for",
    "at", "most", "least", "requests", "of", "per", "by", "never", "always", "allow", "deny", "expect", "owing",
    "nothing", "approved", "concurrent", "block", "alert", "failure", "case", "after",
)  # fmt: skip
KEYWORDS = {"statement": _STATEMENT, "operator": _OPERATOR, "other": _OTHER}

_SIGNS = {
    "EQ": "==", "NE": "!=", "LE": "<=", "LT": "<", "GE": ">=", "GT": ">", "PLUS": "+", "MINUS": "-", "STAR": "*",
    "DOT": ".", "COMMA": ",", "COLONS": "::", "COLON": ":", "QUESTION": "?", "ELLIPSIS": "...", "BAR": "|",
    "PERCENT": "%", "LPAR": "(", "RPAR": ")",
    "LSQB": "[", "RSQB": "]", "LBRACE": "{", "RBRACE": "}",
}  # fmt: skip
_KINDS = {
    "NAME": "a name",
    "STRING": "a string",
    "NUMBER": "a number",
    "DURATION_LITERAL": "a duration such as `15m`",
}
_OPERATORS = frozenset(
    {"EQ", "NE", "LE", "LT", "GE", "GT", "PLUS", "MINUS", "STAR", "DOT", "LSQB"} | {word.upper() for word in _OPERATOR}
)
# Several terminals that mean one thing to a reader: all of the first set, and any of the second.
_GROUPS: tuple[tuple[frozenset[str], frozenset[str], str], ...] = (
    (frozenset(w.upper() for w in _STATEMENT[2:]), frozenset({"$END"}), "the next statement"),
    (
        frozenset({"LPAR", "LSQB", "LBRACE", "MINUS"}),
        frozenset({"NUMBER", "STRING", "TRUE", "FALSE", "NULL", "NAME", "NOT", "IF", "ANY", "ALL", "DURATION_LITERAL"}),
        "an expression",
    ),
)
# These may also follow where an operator can, but are rarely intended.
_WITH_OPERATOR = frozenset({"LPAR", "COLONS"})


def unexpected_word(token: Token) -> str:
    """The token that is not allowed at its place, in words."""
    if token.type == "$END":
        return "end of the text"
    if token.type == "STRING":
        return "string"
    if token.type == "NUMBER":
        return f"number `{token}`"
    return f"`{token}`"


def expected_words(terminals: Iterable[str], after_condition: bool = False) -> str:
    """What could have been there: `a name, "," or the next statement`."""
    left = set(terminals) - {"COMMENT", "WHITESPACE"}
    if "WHEN" in left and "NAME" not in left:
        # `on match log` is rarely intended.
        left.discard("ON")
    words: list[str] = []
    for members, others, name in _GROUPS:
        if members <= left:
            left -= members | others
            words.append(name)
    first: list[str] = []
    operators = left & _OPERATORS
    if len(operators) > 1 or (after_condition and "WHEN" in left):
        left -= operators | _WITH_OPERATOR
        first = ["an operator"]
    words = [*first, *sorted(_word(terminal) for terminal in left), *words]
    if len(words) > 6:
        words = [*words[:5], "something else"]
    return " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def _word(terminal: str) -> str:
    if terminal == "$END":
        return "the end of the text"
    return _KINDS.get(terminal) or f"`{_SIGNS.get(terminal) or terminal.lower()}`"
