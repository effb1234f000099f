"""Where the values of a session came from.

In: everything that came into the session, with its source. Out: for a value, the sources of the value and of its parts.
The work grows with the value, not with what the session has seen, because texts are looked up by their words.

If a source says a value as a whole, the value comes from that source; if several do, from the most trusted one. What
the user said stays the user's words, even if an attacker repeats them. A text that no source says as a whole is
composed: it comes from the model, and from every tool that said an identifier or a run of words in it. It does not come
from the user, whatever its parts are: the user has not named a recipient if a second one follows it. It comes from
`composed` as well if each of its words is trusted (`composed_text.py`).
"""

from __future__ import annotations

import marshal
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import filterfalse
from threading import Lock
from typing import Any

from msgspec import Struct

from policyengine.gate.composed_text import COMPOSED, TrustedWords
from policyengine.gate.copied_result import as_it_is
from policyengine.gate.dates import any_year
from policyengine.gate.normal_form import form, identifies, names, number, text_form, value_form
from policyengine.gate.scalars import PLAIN, pointers, scalars

MODEL, EVERYBODY = "model", "*"
# The number of consecutive words that identify the source of a piece of prose.
RUN = 4
# The most characters that a session remembers. Anything beyond is not indexed, and its values are unknown.
MOST = 4_000_000
# The sources of this many texts are remembered, until the next value comes in.
REMEMBERED = 256


@dataclass(frozen=True, slots=True)
class Origin:
    """The source of a value. `rank` orders sources by trust; lower is more trusted. `readers` are the normal forms of
    those who may see the value; None stands for everybody."""

    name: str
    trusted: bool
    rank: int = 2
    readers: frozenset[str] | None = None

    def __hash__(self) -> int:
        # Sets of origins are made for every argument. Readers can be many; the name distinguishes nearly all origins.
        return hash(self.name)

    @property
    def entry(self) -> dict[str, Any]:
        return {"source": self.name, "trusted": self.trusted}


USER = Origin("user", True, 0)
SYSTEM = Origin("system", True, 1)
MADE = Origin(MODEL, False, 9)
# Nobody may read it: an unknown value could be anybody's secret.
UNKNOWN = Origin("unknown", False, 10, frozenset())
# Added to the model for a text whose every word is trusted.
PUT_TOGETHER = Origin(COMPOSED, False, 8)
_PUT_TOGETHER = frozenset({MADE, PUT_TOGETHER})

_INNER = RUN + 1

# A trusted field ranks behind untrusted sources.
FIELD_RANK = 6


def tool_source(name: str, trusted: bool) -> Origin:
    return Origin(name, trusted, 2 if trusted else 5)


def field_source(name: str) -> Origin:
    """A trusted part of a result. It ranks behind untrusted sources: if strangers say the same value, it may be
    theirs."""
    return Origin(name, True, FIELD_RANK)


@dataclass(frozen=True, slots=True)
class _Text:
    text: str
    source: Origin


class _Waiting(Struct, frozen=True, gc=False):
    """A value that came in, as it was at that time, with what was sent out to get it."""

    kept: str | bytes
    source: Origin
    parts: Mapping[tuple[str | int, ...], Origin] | None
    readers: Mapping[tuple[str | int, ...], frozenset[str]] | None


class Trail:
    """Everything that one session has seen. With `forgot`, the session has seen more before, which is no longer known:
    any value without a known source may then come from anybody."""

    def __init__(self, forgot: bool = False) -> None:
        self._forgot = forgot
        self._rest = UNKNOWN if forgot else MADE
        self._composed = frozenset({self._rest})
        self._values: dict[str, Origin] = {}
        self._runs: dict[tuple[str, ...], Origin] = {}
        self._texts: list[_Text] = []
        # The texts that contain a word.
        self._words: dict[str, list[int]] = {}
        self._relied_on = TrustedWords()
        self._size = 0
        # Calls of one session may return at the same time, in threads.
        self._adding = Lock()
        # Values that came in and are not indexed yet, oldest first, and their length. One thread at a time indexes.
        self._waiting: deque[_Waiting] = deque()
        self._waiting_size = 0
        self._bringing = Lock()
        # The number of times that an addition began or ended, and what was found for texts since. A call is decided,
        # and its result observed, with the same texts.
        self._changes = 0
        self._found: dict[tuple[int, str], frozenset[Origin]] = {}
        self.full = False

    def add(
        self,
        value: Any,
        source: Origin,
        *,
        echoes: Mapping[str, Origin] | None = None,
        parts: Mapping[tuple[str | int, ...], Origin] | None = None,
        readers: Mapping[tuple[str | int, ...], frozenset[str]] | None = None,
    ) -> None:
        """Adds a value that came in. `echoes` are values, by their normal form, that were sent out to get it: if they
        come back, their source stays what it was. `parts` have other sources than the whole, and `readers` are those
        who alone may see a part, by the path to it."""
        if self._waiting:
            self._bring()
        self._add(value, source, echoes, parts, readers)

    def _add(
        self,
        value: Any,
        source: Origin,
        echoes: Mapping[str, Origin] | None,
        parts: Mapping[tuple[str | int, ...], Origin] | None,
        readers: Mapping[tuple[str | int, ...], frozenset[str]] | None,
    ) -> None:
        with self._adding:
            # Counted before and after: what another thread finds while only half of this is added is remembered under a
            # number that does not come again.
            self._changes += 1
            for leaf, said_by in _leaves_with_source(value, source, parts or {}, readers or {}):
                known = value_form(leaf)
                origin = (echoes or {}).get(known, said_by)
                if isinstance(leaf, str):
                    self._add_text(leaf, origin, echoes or {})
                self._say(self._values, known, origin)
            self._changes += 1
            self._found.clear()

    def add_lazily(
        self,
        value: Any,
        source: Origin,
        *,
        sent: Any = None,
        kept: bytes | None = None,
        parts: Mapping[tuple[str | int, ...], Origin] | None = None,
        readers: Mapping[tuple[str | int, ...], frozenset[str]] | None = None,
    ) -> None:
        """As `add`, but only when somebody looks for a source: for a session whose rules read none. `sent` is what was
        sent out to get the value, and `kept` are both as `as_it_is` copied them. A value that is not plain data, and
        may change, is added at once."""
        waits: str | bytes = value if type(value) is str and sent is None else kept or as_it_is(value, sent)
        if waits and self._waiting_size + len(waits) <= MOST:
            self._waiting_size += len(waits)
            self._waiting.append(_Waiting(waits, source, parts, readers))
            return
        self.add(value, source, echoes=self.echoes(sent), parts=parts, readers=readers)

    def _bring(self) -> None:
        """Adds the waiting values. Each leaves the queue last: if nothing is waiting, everything has been added."""
        with self._bringing:
            while self._waiting:
                waiting = self._waiting[0]
                value, sent = (waiting.kept, None) if isinstance(waiting.kept, str) else marshal.loads(waiting.kept)
                self._add(value, waiting.source, self._echoes(sent), waiting.parts, waiting.readers)
                self._waiting_size -= len(waiting.kept)
                self._waiting.popleft()

    def _add_text(self, text: str, source: Origin, echoes: Mapping[str, Origin]) -> None:
        self._size += len(text)
        if self._size > MOST:
            # From here on the session is not known in full.
            self.full = True
            return
        normal = form(text)
        at = len(self._texts)
        self._texts.append(_Text(f" {normal} ", source))
        named = names(normal)
        if source.trusted:
            self._relied_on.add(normal, named, (known for known, echo in echoes.items() if not echo.trusted))
        for name in set(named):
            origin = echoes.get(name, source)
            self._say(self._values, name, origin)
            self._words.setdefault(name, []).append(at)
        words = normal.split()
        for start in range(len(words) - RUN + 1):
            self._say(self._runs, tuple(words[start : start + RUN]), source)

    def _say(self, known: dict[Any, Origin], key: Any, source: Origin) -> None:
        earlier = known.get(key)
        if earlier is None or source.rank < earlier.rank:
            known[key] = source

    def of(self, value: Any) -> frozenset[Origin]:
        """The sources of a text, number or truth value."""
        if self._waiting:
            self._bring()
        return self._of(value)

    def _of(self, value: Any) -> frozenset[Origin]:
        if self.full:
            return frozenset({UNKNOWN})
        if not isinstance(value, str):
            source = self._values.get(value_form(value))
            return self._composed if source is None else self._from(source)
        if type(value) is not str:
            # A text of a subclass may be equal to another text, and would find what is remembered about that one.
            return self._of_text(value)
        key = (self._changes, value)
        origins = self._found.get(key)
        if origins is None:
            origins = self._of_text(value)
            if len(self._found) < REMEMBERED:
                self._found[key] = origins
        return origins

    def _of_text(self, value: str) -> frozenset[Origin]:
        text = form(value)
        known = text_form(text)
        source = self._said_of(known)
        if source is not None and source.rank <= SYSTEM.rank:
            # No other source is more trusted, so what other texts say changes nothing.
            return frozenset({source})
        tokens = text.split(" ")
        words = names(text, tokens)
        # Other sources may say it as a whole as well.
        whole = self._containing(text, tokens, words)
        if source is not None:
            return self._from(source if whole is None or source.rank <= whole.rank else whole)
        return self._from(whole) if whole is not None else self._parts(text, tokens, words)

    def _said_of(self, known: str) -> Origin | None:
        """The source that said a value, by the value's form."""
        source = self._values.get(known)
        in_any_year = self._values.get(any_year(known)) if len(known) == 10 else None
        if source is None or (in_any_year is not None and in_any_year.rank < source.rank):
            return in_any_year
        return source

    def _from(self, source: Origin) -> frozenset[Origin]:
        """The source of a value. A trusted field counts only as long as nobody else said the same."""
        return frozenset({source, UNKNOWN}) if self._forgot and source.rank == FIELD_RANK else frozenset({source})

    def _containing(self, text: str, tokens: list[str], words: list[str]) -> Origin | None:
        """The most trusted source that says the text as a whole, on word boundaries."""
        if not text or not words:
            return None
        if len(tokens) > _INNER and tuple(tokens[1:_INNER]) not in self._runs:
            # A source that says all of it also says the words after the first one in a row.
            return None
        rarest: list[int] | None = None
        # A source of the text contains each of its words, so only the texts with the rarest word have to be searched.
        for word in words[:32]:
            stands_in = self._words.get(word)
            if stands_in is None:
                # No source has this part of it.
                return None
            if rarest is None or len(stands_in) < len(rarest):
                rarest = stands_in
        best: Origin | None = None
        for at in rarest or ():
            known_text = self._texts[at]
            if (best is None or known_text.source.rank < best.rank) and _stands_in(text, known_text.text):
                best = known_text.source
        return best

    def _parts(self, text: str, tokens: list[str], words: list[str]) -> frozenset[Origin]:
        """The sources of the parts of a composed text. The user and the system are not among them: they said parts, not
        the text."""
        sources: set[Origin | None] = set()
        # A word of letters alone identifies nothing: "invoice" in a mail to a stranger is not what a page said.
        for name in filterfalse(str.isalpha, words):
            if identifies(name):
                sources.add(self._values.get(name) or (self._values.get(number(name)) if name[-1].isdigit() else None))
        if self._runs and len(tokens) >= RUN:
            sources.update(map(self._runs.get, zip(tokens, tokens[1:], tokens[2:], tokens[3:], strict=False)))
        sources.discard(None)
        if not sources:
            # Most texts end here: no source has any part of them.
            by_model = self._rest is MADE and self._relied_on.compose(text, words)
            return _PUT_TOGETHER if by_model else self._composed
        origins = {self._rest, *(source for source in sources if source is not None and source.rank > SYSTEM.rank)}
        by_model = self._rest is MADE and all(source.trusted or source is MADE for source in origins)
        if by_model and self._relied_on.compose(text, words):
            origins.add(PUT_TOGETHER)
        return frozenset(origins)

    def provenance(self, args: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
        """The sources of each argument and of each part of one, in the form of `context.provenance`."""
        if not args:
            return {}
        stated: dict[str, list[dict[str, Any]]] = {}
        for path, value in pointers(args):
            plain = value.__class__ in PLAIN
            origins = self.of(value) if plain or not isinstance(value, Mapping | list | tuple) else self._composed
            ordered = origins if len(origins) == 1 else sorted(origins, key=lambda origin: (origin.rank, origin.name))
            stated[path] = [source.entry for source in ordered]
        return stated

    def readable(self, args: Mapping[str, Any]) -> dict[str, list[str]]:
        """Who may see each argument and each part of one, in the form of `context.readers`, spelled as in the
        arguments."""
        spelled = [leaf for leaf in scalars(args) if isinstance(leaf, str) and leaf != EVERYBODY]
        stated: dict[str, list[str]] = {}
        for path, value in pointers(args):
            allowed = self._readers(value)
            if allowed is None:
                stated[path] = [EVERYBODY]
            else:
                stated[path] = sorted({*(allowed - {EVERYBODY}), *(s for s in spelled if value_form(s) in allowed)})
        return stated

    def _readers(self, value: Any) -> frozenset[str] | None:
        """Those who may see everything that a value is made of."""
        readers: frozenset[str] | None = None
        for leaf in scalars(value):
            for source in self.of(leaf):
                if source.readers is not None:
                    readers = source.readers if readers is None else readers & source.readers
        return readers

    def echoes(self, args: Any) -> dict[str, Origin]:
        """The values that a call sends out, by their form, each with the least trusted of its sources."""
        if self._waiting:
            self._bring()
        return self._echoes(args)

    def _echoes(self, args: Any) -> dict[str, Origin]:
        # The least trusted: a trusted tool that returns what it was sent would vouch for the address of a stranger.
        return {value_form(leaf): max(self._of(leaf), key=_doubt) for leaf in scalars(args)}


def _doubt(source: Origin) -> tuple[bool, int]:
    return (not source.trusted, source.rank)


def _leaves_with_source(
    value: Any,
    source: Origin,
    parts: Mapping[tuple[str | int, ...], Origin],
    readers: Mapping[tuple[str | int, ...], frozenset[str]],
) -> Iterator[tuple[Any, Origin]]:
    """Each leaf of a value with its source: if it is in several parts, the innermost decides."""
    if not parts and not readers:
        yield from ((leaf, source) for leaf in scalars(value))
        return
    todo: list[tuple[tuple[str | int, ...], Any, Origin]] = [((), value, source)]
    while todo:
        path, inner, around = todo.pop()
        said_by = replace(parts[path], readers=around.readers) if path in parts else around
        if path in readers:
            said_by = replace(said_by, readers=readers[path])
        if isinstance(inner, Mapping):
            yield from ((name, said_by) for name in inner)
            todo += (((*path, name), item, said_by) for name, item in inner.items())
        elif isinstance(inner, list | tuple):
            todo += (((*path, at), item, said_by) for at, item in enumerate(inner))
        else:
            yield from ((leaf, said_by) for leaf in scalars(inner))


def _stands_in(part: str, text: str) -> bool:
    """Whether the part occurs in the text without beginning or ending within a word."""
    at = text.find(part)
    # The first place may be within a word, and a later one may not: `ann` in "hanna and ann".
    while at >= 0:
        end = at + len(part)
        if _apart(text[at - 1], part[0]) and _apart(text[end], part[-1]):
            return True
        at = text.find(part, at + 1)
    return False


def _apart(outside: str, inside: str) -> bool:
    # `bob@acme.com` does not say `acme.com`, nor `key_id` the name `id`: a part of a name is a different name.
    return not (outside.isalnum() and inside.isalnum()) and outside not in "@_"
