"""What to write instead: the typical slips, and habits from other policy languages, that cause a syntax error.

In: a text, the place of the error, and the terminals that could have been there. Out: a help line, or "".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from policyengine.diagnostics.suggest import slip
from policyengine.syntax.terminal_names import KEYWORDS

_RULE = r"\b(?:permit|forbid|require|limit|label|prove)"
_KEYWORD = r"\b(?:permit|forbid|require|limit|label|prove|test|define|entity|extend|action|tool)\b"
_CONDITION = "a condition starts with `when`"
_ONE_ACTION = "declare each action in a line of its own: `action {0} on TYPE`"
_DEFINITION = "a definition is written `define NAME: EXPRESSION`"
_LIST = "write a list in brackets: `[A, B]`"
_QUOTES = 'write strings in `"`'
_NAMES = "names are made of a to z, digits and `_`"
_TIME = 'a time is written `time("2026-01-31T12:00:00Z")`'


@dataclass(frozen=True, slots=True)
class _Slip:
    """The text `here`, after `before`, at a place where `allowed` was possible. `{0}` is what `before` captured."""

    here: str
    help: str
    before: str = ""
    allowed: str = ""  # terminals, all of which were possible there


# The first one that fits is used.
_SLIPS = (
    # Wrong everywhere.
    _Slip(r";", "statements need no `;`"),
    _Slip(r"//|/\*", "comments start with `#`"),
    # Heads.
    _Slip(r"\w+\s*:", "the statement before this one is incomplete", r"\n" + _RULE[2:] + r"\s+"),
    _Slip(r"\(", "every rule has a name: `permit NAME: ACTION on TYPE`", _RULE + r"\s+"),
    _Slip(r'"', "the name of a rule is a plain word", _RULE + r"\s+"),
    _Slip(r"-", _NAMES, _RULE + r"\s+\w+"),
    _Slip(r"\w", "the name of a rule ends with `:`", _RULE + r"\s+\w+\s+"),
    _Slip(r",", _ONE_ACTION, r"(?:^|\n)\s*action\s+(\w+|\"[^\"\n]*\")\s*"),
    _Slip(r"/", 'quote a name with other characters: `"tools/call"`', _RULE + r"\s+\w+:\s*\w+"),
    _Slip(r"(if|where|provided|given)\b", _CONDITION, allowed="WHEN"),
    _Slip(r"\{", f"{_CONDITION} and has no braces", allowed="WHEN"),
    _Slip(
        r"\{",
        'a value only names an entity; in a test, state it on its own line: `entity {0} {{ ... }}`',
        r"([A-Z]\w*::\"[^\"\n]*\")\s*",
    ),
    _Slip(r"", "name the action first: `ACTION on TYPE`", r":\s*on\s+", "ON"),
    _Slip(r"\w", "write `on` before the type of the resource: `{0} on TYPE`", r":\s*(\w+)\s+", "ON"),
    _Slip(r"=(?!=)", _DEFINITION, r"\bdefine\s+\w+\s*(?:\([^()\n]*\)\s*)?"),
    # Statements.
    _Slip(r"allow\b", "a rule that grants is `permit`", allowed="PERMIT"),
    _Slip(r"deny\b", "a rule that denies is `forbid`", allowed="FORBID"),
    _Slip(r"(allow|deny|permit|forbid)\b", "a claim is `never allow` or `always allow`", r"\b(?:never|always)\s+"),
    _Slip(r"(permit|forbid)\b", "a request gets the decision `allow` or `deny`", r"\bexpect\s+"),
    _Slip(r"package\b", "a file starts with `module NAME`", allowed="PERMIT"),
    _Slip(r"import\b", "write `use NAME`", allowed="PERMIT"),
    _Slip(r"default\b", "no default is needed: what no rule permits is denied", allowed="PERMIT"),
    _Slip(r"(rule|policy)\b", "a rule starts with its kind, such as `permit` or `forbid`", allowed="PERMIT"),
    _Slip(r"(module|use)\b", "`module` comes first, then each `use`, then everything else"),
    _Slip(r"@", "there are no annotations; rules have names and a `because`"),
    _Slip(r"per\b", "write `at most 60 requests per 1m` or `at most 5 of cost.usd per day`", allowed="REQUESTS"),
    _Slip(r"$|\w", "say what to count by, such as `by principal`", allowed="BY"),
    _Slip(r"\w", _DEFINITION, r"\bdefine\s+\w+\s+", "COLON"),
    _Slip(r"", "a field is written `NAME: TYPE`", allowed="COLON QUESTION"),
    _Slip(_KEYWORD + "|$", "a bracket is not closed", allowed="RPAR"),
    _Slip(_KEYWORD + "|$", "a bracket is not closed", allowed="RSQB COMMA"),
    _Slip(_KEYWORD + "|$", "a bracket is not closed", allowed="RBRACE COMMA"),
    _Slip(r"\)|\]|\}", "there is no bracket to close", allowed="WHEN"),
    _Slip(r"\w+\b(?!\s*\()|$", "name an obligation, such as `approval(by: Group::\"x\")`", allowed="ON WHEN NAME"),
    # Words of other languages.
    _Slip(r"not\s+in\b", "write `not (a in b)`"),
    _Slip(r"", "write `not (a is T)`", r"\bis\s+not\s+"),
    _Slip(r"(AND|And|OR|Or|IN|In|HAS|Has|IS|Is|LIKE|Like)\b", "operators are written in lower case"),
    _Slip(r"", "operators are written in lower case", r"\b(?:NOT|Not)\s+"),
    _Slip(r"", "write `any x in xs: ...` or `all x in xs: ...`", r"\b(?:forall|exists|some|every)\s+"),
    _Slip(r",", "write `:` before the condition of `any` and `all`", r"\b(?:any|all)\s+\w+\s+in\s[^\n]*", "COLON"),
    _Slip(r",", _LIST, r"\b(?:on|for|in)\s+\(?(?:\"[^\"\n]*\"|[\w:.])+\s*"),
    _Slip(r"contains(?:_?[aA]ll|_?[aA]ny)\b", "write `contains_any(a, b)` or `contains_all(a, b)`"),
    _Slip(r"contains\b", "write `ITEM in COLLECTION`, or `contains(TEXT, PART)`"),
    _Slip(
        r"(matches|search|starts_?[wW]ith|ends_?[wW]ith)\b", "it is a function: `matches(a, b)`, `starts_with(a, b)`"
    ),
    _Slip(r"(==|!=|<=|>=|<|>|in\b|has\b|is\b|like\b)", "join comparisons with `and`", allowed="AND"),
    _Slip(r"\w+\s*\(", "write an obligation in a rule of its own, a `require`", allowed="WHEN"),
    # Constants.
    _Slip(r"\w", 'write an identifier in quotes: `{0}::"..."`', r"(\w+)::"),
    _Slip(r"\d\d", _TIME, r"\d{4}-(?:\d\d-)?"),
    _Slip(r"\d+[a-z]+\b", "a duration is a whole number and one of ms, s, m, h, d, w"),
    _Slip(r"", "a pattern must be a string, such as `like \"draft-*\"`", r"\blike\s+"),
    _Slip(r"", "a reason is a string, such as `because \"it is not yours\"`", r"\bbecause\s+"),
    _Slip(r"[^\W\d_a-zA-Z]", _NAMES),
    # Signs.
    _Slip(r"&", "use `and`"),
    _Slip(r"\|", "use `or`"),
    _Slip(r"=", "use `define NAME: ...`", r":"),
    _Slip(r"=", "use `!=`", r"!="),
    _Slip(r"=", "use `==` to compare"),
    _Slip(r">", "use `!=`", r"<"),
    _Slip(r"!", "use `not`"),
    _Slip("['`\u201c\u201d\u201e\u2018\u2019]", _QUOTES),
    _Slip(r"--", "comments start with `#`"),
    _Slip(r"/", "there is no division; multiply the other side"),
    _Slip(r"%", "there is no remainder"),
    _Slip(r"\?[?.]", "an optional attribute is tested with `has` before it is read"),
    _Slip(r"\?", "use `if ... then ... else ...`", r"\s"),
    _Slip(r"\?", "an optional attribute is tested with `has` before it is read"),
    _Slip(r"~", "use `like` or `matches`"),
    _Slip(r"[$\\]", _NAMES),
)  # fmt: skip


def advice(text: str, at: int, allowed: frozenset[str]) -> str:
    """A help line for the text `at` a place where only `allowed` was possible."""
    before = text[max(0, at - 200) : at]
    for known in _SLIPS:
        if not allowed.issuperset(known.allowed.split()):
            continue
        here = re.compile(known.here).match(text, at)
        after = re.search(f"(?:{known.before})$", before) if known.before else None
        if here is None or (known.before and after is None):
            continue
        return known.help.format(*(after.groups() if after else ())) if "{0}" in known.help else known.help
    return _misspelt(text, at, allowed)


def _misspelt(text: str, at: int, allowed: frozenset[str]) -> str:
    """The possible keyword that the text nearly is."""
    word = _WORD.match(text, at)
    if word is None:
        return ""
    keyword = slip(word[0], (name for words in KEYWORDS.values() for name in words if name.upper() in allowed))
    return f"did you mean `{keyword}`?" if keyword else ""


_WORD = re.compile(r"[A-Za-z_]+")


_SIGNS = re.compile(r"&+|\|+|[=!]==|=[=>]?|\?[?.]|//|/\*|.", re.DOTALL)


def sign_at(text: str, at: int) -> str:
    """The whole sign that begins with a character that cannot be read."""
    sign = _SIGNS.match(text, at)
    return sign[0] if sign else ""
