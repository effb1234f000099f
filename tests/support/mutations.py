"""Text that is nearly a policy: the words of one, some of them lost, doubled, swapped or replaced."""

from __future__ import annotations

import re

from hypothesis import strategies as st

from tests.support.expressions import Draw

WORD = re.compile(
    r'"(?:[^"\\\n]|\\.)*"|#[^\n]*|[A-Za-z_][A-Za-z0-9_]*|[0-9]+(?:\.[0-9]+)?[a-z]*|[=!<>]=|::|\s+|.', re.DOTALL
)
STRAYS = (
    "permit", "forbid", "when", "unless", "require", "limit", "at", "most", "per", "by", "has", "is", "in", "not",
    "and", "or",
    "if", "then", "else", "any", "all", "entity", "extend", "define", "tool", "action", "use", "module", "test",
    "prove",
    "principal", "resource", "context", "action", "document", "User", "Doc", "Nope", "id", "type", "parents",
    "args", "n", "s",
    "(", ")", "{", "}", "[", "]", ":", "::", ",", ".", "?", "+", "-", "*", "==", "!=", "<", "<=", "in", "null", "true",
    '"a"', '""', '"\\u0000"', '"\\q"', '"', "5", "9223372036854775808", "1e400", "2.5", "5m", "99999999999w",
    "size", "lower",
    "sources", "matches", "in_range", "ip", "contains_any", "\u202e", "а", "\x00", "\ud800", "#", "\n", "'", "\\", "é",
)  # fmt: skip


@st.composite
def mutated(draw: Draw, text: str, same_kind: bool = False) -> str:
    """With `same_kind` a word gives way to one of its kind only, so that the text most often still parses."""
    words = WORD.findall(text)
    for _ in range(draw(st.integers(1, 4))):
        spots = [i for i, word in enumerate(words) if word.strip()]
        if not spots:
            break
        at = draw(st.sampled_from(spots))
        other = draw(st.sampled_from(spots))
        if same_kind:
            alike = [words[i] for i in spots if _kind(words[i]) == _kind(words[at])]
            words[at] = draw(st.sampled_from(alike))
            continue
        match draw(st.sampled_from(("lose", "double", "swap", "replace", "cut"))):
            case "lose":
                words[at] = ""
            case "double":
                words[at] *= 2
            case "swap":
                words[at], words[other] = words[other], words[at]
            case "replace":
                words[at] = f" {draw(st.sampled_from(STRAYS))} "
            case "cut":
                del words[at:]
    return "".join(words)


def _kind(word: str) -> str:
    if word in STRAYS[:25]:
        return word
    return "string" if word[0] == '"' else "name" if word.isidentifier() else "number" if word[0].isdigit() else word


_leaves = st.sampled_from(
    ("1", "2.5", '"a"', "true", "null", "5m", 'User::"a"', "principal", "resource", "context", "action", "n", "v",
     "principal.n", "resource.data", "principal.tags", "action.x", "time.now", "context.cost.usd",
     "session.labels", "[]",
     "{ a: 1 }", "d0", "doc", "resource.boss", "-9223372036854775808", 'ip("10.0.0.1")', 'time("x")')
)  # fmt: skip
# Expressions without regard for types: every construct around every other.
untyped = st.recursive(
    _leaves,
    lambda e: st.one_of(
        st.tuples(e, st.sampled_from(("and", "or", "==", "!=", "<", "<=", ">", ">=", "in", "+", "-", "*")), e).map(
            lambda t: f"({t[0]} {t[1]} {t[2]})"
        ),
        st.tuples(st.sampled_from(("not ", "-", "lower", "size", "ip", "sources", "url_host", "time", "d1")), e).map(
            lambda t: f"({t[0]}({t[1]}))"
        ),
        st.tuples(
            st.sampled_from(("contains_any", "starts_with", "matches", "path_under", "email_domain", "d2", "nope")),
            e,
            e,
        ).map(lambda t: f"{t[0]}({t[1]}, {t[2]})"),
        st.tuples(e, e, e).map(lambda t: f"(if {t[0]} then {t[1]} else {t[2]})"),
        st.tuples(st.sampled_from(("any", "all")), st.sampled_from(("v", "w", "principal")), e, e).map(
            lambda t: f"({t[0]} {t[1]} in {t[2]}: {t[3]})"
        ),
        st.tuples(e, st.sampled_from(("n", "boss.boss", "data.a.b", '"odd name"', "nope", "id"))).map(
            lambda t: f"({t[0]} has {t[1]})"
        ),
        st.tuples(e, st.sampled_from(("User", "Doc", "Nope", "Int"))).map(lambda t: f"({t[0]} is {t[1]})"),
        st.tuples(e, st.sampled_from(("n", "boss", "id", "type", "nope"))).map(lambda t: f"({t[0]}).{t[1]}"),
        st.tuples(e, e).map(lambda t: f"({t[0]}).in_range({t[1]})"),
        st.tuples(e, st.text("a*?\\", max_size=3)).map(
            lambda t: '({} like "{}")'.format(t[0], t[1].replace("\\", "\\\\"))
        ),
        st.tuples(e, e).map(lambda t: f"[{t[0]}, {t[1]}]"),
    ),
    max_leaves=8,
)
