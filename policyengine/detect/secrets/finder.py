"""Credentials in a text: one pass for literals, and a look around each of them.

Two automata read the bytes of the text: one for the literals of formats, and one, over lower case, for words in the
names that secrets are assigned to. The surroundings of a literal are then read on their own, within `WIDTH`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from policyengine.detect.finder import Finder, viewing
from policyengine.detect.finding import Finding
from policyengine.detect.literals import Places, places_of
from policyengine.detect.match_starts import last_word
from policyengine.detect.secrets.assignment import (
    BEFORE,
    GAP,
    assigned,
    may_assign,
    names_a_secret,
    password_like,
    same_line,
    secret_like,
)
from policyengine.detect.secrets.assignment import (
    LONGEST as LONGEST_VALUE,
)
from policyengine.detect.secrets.checks import CHECKS, LIKELY, entropy, placeholder
from policyengine.detect.secrets.formats import FORMATS, LONGEST, Format, written
from policyengine.detect.secrets.named import NAMED
from policyengine.detect.secrets.structures import STRUCTURES, Scene, Structure, open_key
from policyengine.detect.shadow import TOKEN, WORD, Runs
from policyengine.detect.view import View

NAME = "secrets"
GENERIC = "secret.generic"
PASSWORD = "secret.password"
_REACH = 256
"""How far before a value that stands which says that it is one: `curl`, or the name that it is assigned to."""
_JUDGED = 96
"""So much of a value is looked at to tell whether it is one."""
_PASSWORD_WORDS = ("password", "passwd", "passphrase", "passcode", "passwort", "contraseña", "pwd", "mot_de_passe")
_SECRET_WORDS = ("secret", "token", "key", "credential", "creds", "auth", "access")

KINDS = frozenset(
    {GENERIC, PASSWORD}
    | {f.kind for f in FORMATS}
    | {n.kind for n in NAMED}
    | {kind for s in STRUCTURES for kind in s.kinds}
)
WIDTH = max(BEFORE + GAP + LONGEST_VALUE, LONGEST + 96) + 32


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    before: re.Pattern[bytes] | None
    weak: bool
    literal: int
    entropy: float
    check: Callable[[bytes], float] | None


def finder() -> Finder:
    return viewing(NAME, KINDS, WIDTH, find, begins, reach=_REACH)


def begins(text: str, start: int) -> int:
    """No pattern contains a blank, and what decides about a value is before it or directly after it: all words but the
    last are decided, unless a private key goes on."""
    return min(last_word(text, start), open_key(text, start))


_Match = Callable[[bytes, int], "re.Match[bytes] | None"]


def _token(one: Format) -> tuple[_Match, _Token]:
    literal = re.escape(one.literal.encode())
    before = re.compile(rb"(?:" + written(one.before) + rb")\Z") if one.before else None
    check = CHECKS[one.check] if one.check else None
    # A weak literal is only letters and digits, and occurs in the middle of words: it counts at the beginning of one.
    edge = rb"(?<![A-Za-z0-9])" if one.weak and before is None else b""
    regex = re.compile(edge + literal + written(one.after))
    return regex.match, _Token(one.kind, before, one.weak, len(one.literal), one.entropy, check)


def _grouped() -> dict[bytes, list[tuple[_Match, _Token]]]:
    groups: dict[bytes, list[tuple[_Match, _Token]]] = {}
    for one in FORMATS:
        groups.setdefault(one.literal.encode(), []).append(_token(one))
    return groups


_Pattern = tuple[str, "re.Pattern[bytes]", float]


@dataclass(frozen=True, slots=True)
class _Tables:
    """What each literal stands for, in the order of the automaton."""

    tokens: list[list[tuple[_Match, _Token]]]
    names: list[tuple[Sequence[_Pattern], str, Structure | None]]
    formats_in: Places
    names_in: Places


@lru_cache(maxsize=4)
def tables(places: Callable[[Sequence[bytes]], Places] = places_of) -> _Tables:
    """Made when the first text is searched, so that a process that searches none starts as fast. `places` makes the
    search for literals."""
    tokens = _grouped()
    patterns: dict[bytes, list[_Pattern]] = {}
    for one in NAMED:
        pattern = re.compile(rb"(?i:" + written(one.pattern) + rb")")
        for word in one.words:
            patterns.setdefault(word.encode(), []).append((one.kind, pattern, one.entropy))
    words = {word.encode(): GENERIC for word in _SECRET_WORDS}
    words |= {word.encode("ascii", "replace"): PASSWORD for word in _PASSWORD_WORDS}
    structured = {literal: one for one in STRUCTURES for literal in one.literals}
    names = sorted({*patterns, *words, *structured})
    return _Tables(
        list(tokens.values()),
        [(patterns.get(name, ()), words.get(name, ""), structured.get(name)) for name in names],
        places(list(tokens)),
        places(names),
    )


def find(view: View, known: _Tables | None = None) -> Sequence[Finding]:
    data = view.shadow
    findings: dict[tuple[int, int], Finding] = {}
    runs, there_are = Runs(data, TOKEN), known if known is not None else tables()
    for index, start, _ in there_are.formats_in(data):
        for match, token in there_are.tokens[index]:
            there = match(data, start)
            if there is not None:
                _add(findings, _tokens(data, there, token, runs))
    hits = there_are.names_in(view.lower)
    if hits:
        scene = Scene(data)
        for index, start, end in hits:
            patterns, word, structure = there_are.names[index]
            if structure is not None:
                for one in structure.find(scene, start, end):
                    _add(findings, one)
            if (patterns or word) and may_assign(data, end):
                _add(findings, _assignments(data, start, end, patterns, word, runs))
    return list(findings.values())


def _add(found: dict[tuple[int, int], Finding], one: Finding | None) -> None:
    """Of two findings in one place, keeps the one that says more."""
    if one is not None:
        known = found.get((one.start, one.end))
        if known is None or (known.kind in (GENERIC, PASSWORD) and one.kind not in (GENERIC, PASSWORD)):
            found[one.start, one.end] = one


def _tokens(data: bytes, match: re.Match[bytes], token: _Token, runs: Runs) -> Finding | None:
    begin = start = match.start()
    end = match.end()
    if token.before is not None:
        low = max(0, start - 96)
        around = token.before.search(data[low:start])
        if around is None:
            return None
        begin = low + around.start()
        if token.weak and begin and data[begin - 1] in WORD:
            return None
    if token.weak and end - begin < LONGEST:
        if end < len(data) and data[end] in TOKEN:
            return None
    elif end < len(data) and data[end] in WORD:
        # The token goes on: if only the part that the format describes were cut out, the rest would remain.
        end = runs.end(end)
    value = data[begin : min(end, begin + LONGEST)]
    secret = value[token.literal :] if token.before is None else value
    if (token.entropy and entropy(secret) < token.entropy) or placeholder(value):
        return None
    return Finding(token.kind, begin, end, token.check(value) if token.check else LIKELY, NAME)


def _one_word(name: bytes) -> bool:
    """Whether a short name is a word of its own, unlike `okta` in `rookTable`."""
    return name.islower() or name.isupper() or name.istitle()


def _assignments(
    data: bytes, start: int, end: int, patterns: Sequence[_Pattern], word: str, runs: Runs
) -> Finding | None:
    place = assigned(data, end)
    if place is None:
        return None
    begin, stop, quoted = place
    value = data[begin:stop]
    if patterns and end - start <= 6 and not _one_word(data[start:end]):
        patterns = ()
    for kind, pattern, least in patterns:
        if pattern.fullmatch(value) and entropy(value) >= least and not placeholder(value):
            return Finding(kind, begin, stop, LIKELY, NAME)
    if not word or stop - begin < 8 or not names_a_secret(data, start, end):
        return None
    # `password:` at the end of a line, with prose on the next, assigns nothing.
    if not quoted and not same_line(data, end, begin):
        return None
    if not (password_like if word == PASSWORD else secret_like)(value[:_JUDGED]):
        return None
    if stop - begin >= LONGEST_VALUE:
        stop = runs.end(stop)
    return Finding(word, begin, stop, 0.6 if word == GENERIC else 0.7, NAME)
