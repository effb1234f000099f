"""Laws of release: a stream releases what the whole would, however it is cut; nothing else is touched."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policyengine.detect.finder import Finder
from policyengine.detect.finding import Finding
from policyengine.detect.registry import Registry, begins, find, nothing_begins, registry, width
from policyengine.release.chunk_stream import Chunks
from policyengine.release.edits import applied, edits, found_in
from policyengine.release.text_stream import TextStream
from policyengine.release.tokenizing import Keys
from policyengine.release.treatment import REDACT, Orders, Treatment

KEYS = Keys(b"k" * 32, "acme")


def expression(kind: str, regex: str, width: int) -> Finder:
    """A finder of every match of an expression, those that overlap as well."""
    pattern = re.compile(rf"(?=({regex}))")

    def found(text: str) -> Sequence[Finding]:
        return [Finding(kind, m.start(1), m.end(1), 0.9, kind) for m in pattern.finditer(text) if m.group(1)]

    return Finder(kind, frozenset({kind}), width, found)


def run(kind: str, characters: str, width: int) -> Finder:
    """A finder of runs of these characters: a run is found from three characters on."""

    def found(text: str) -> Sequence[Finding]:
        return [Finding(kind, m.start(), m.end(), 0.9, kind) for m in re.finditer(f"[{characters}]{{3,}}", text)]

    return Finder(kind, frozenset({kind}), width, found)


# Their matches overlap, span blanks and lines, and end at what comes next.
FINDERS = Registry((
    run("digits", "0-9", 6),
    run("word", "a-c1", 8),
    expression("pair", r"a[ \n]b", 6),
    expression("mail", r"[abc]{1,2}@[abc]{1,2}\b", 8),
))  # fmt: skip
KINDS = sorted(FINDERS.kinds)
WIDTH = 12
WAYS = 10

texts = st.text(alphabet="abc12@ \nx.", max_size=120)
treatments = st.one_of(
    st.builds(Treatment, st.sampled_from(["redact", "hash", "tokenize"])),
    st.builds(Treatment, st.just("mask"), keep=st.integers(0, 4)),
    st.builds(Treatment, st.just("replace"), text=st.sampled_from(["", "-", "n/a"])),
)
orders = st.builds(
    Orders, st.lists(st.tuples(st.sampled_from(KINDS), treatments), max_size=4).map(lambda those: tuple(those))
)


def cuts(text: str, sizes: Sequence[int]) -> list[str]:
    chunks, at = [], 0
    for size in sizes:
        chunks.append(text[at : at + size])
        at += size
    return [*chunks, text[at:]]


def ways_to_cut(text: str, seed: int) -> Iterator[list[str]]:
    """So many as one text is cut in: into single characters, and at places of their own, empty chunks among them."""
    yield list(text)
    rng = random.Random(seed)
    for _ in range(WAYS - 1):
        places = sorted(rng.choices(range(len(text) + 1), k=rng.randint(0, 24)))
        yield [text[start:end] for start, end in pairwise((0, *places, len(text)))]


def finding(ordered: Orders):  # type: ignore[no-untyped-def]
    return lambda text: find(text, ordered.kinds, FINDERS)


@given(texts, orders, st.integers(0, 1 << 32))
def test_a_stream_releases_what_the_whole_would(text: str, ordered: Orders, seed: int) -> None:
    look = finding(ordered)

    def quiet(of: str, start: int, end: int) -> bool:
        return nothing_begins(of, start, end, ordered.kinds, FINDERS)

    whole = applied(text, edits(text, found_in(text, look), ordered, KEYS, WIDTH))
    for chunks in ways_to_cut(text, seed):
        stream = TextStream(look, ordered, KEYS, WIDTH)
        stream._step = 1  # as early as it ever may
        pieces = [piece for chunk in chunks for piece in stream.feed(chunk)] + stream.finish()
        assert "".join(piece.text for piece in pieces) == whole
        assert [piece.start for piece in pieces] == sorted(piece.start for piece in pieces)
        assert sum(piece.end - piece.start for piece in pieces) == len(text)
        # Where no more is known of the finders than how wide they are, it goes earlier.
        early = TextStream(look, ordered, KEYS, WIDTH, begins(ordered.kinds, FINDERS), quiet, seed % 3)
        parts = [piece.text for chunk in chunks for piece in early.feed(chunk)]
        assert "".join([*parts, *(piece.text for piece in early.finish())]) == whole
        passed = Chunks(lambda: TextStream(look, ordered, KEYS, WIDTH), most=1_000)
        assert "".join([*(out for chunk in chunks for out in passed.feed(chunk)), *passed.finish()]) == whole


@given(texts, orders, st.integers(0, 1 << 32))
def test_a_stream_of_blocks_releases_what_the_whole_would(text: str, ordered: Orders, seed: int) -> None:
    """Parts of a text are read on from one to the next, and each by itself, whether they come as chunks or at once."""
    look = finding(ordered)
    for parts in ways_to_cut(text, seed):
        borders = sorted(set(accumulate(map(len, parts[:-1]))) - {0, len(text)})
        whole = applied(text, edits(text, found_in(text, look, borders), ordered, KEYS, WIDTH))
        stream = TextStream(look, ordered, KEYS, WIDTH)
        stream._step = 1  # as early as it ever may
        pieces = []
        for part in parts:
            if part:
                stream.part()
            pieces += stream.feed(part)
        pieces += stream.finish()
        assert "".join(piece.text for piece in pieces) == whole
        assert sum(piece.end - piece.start for piece in pieces) == len(text)


def test_the_nightly_profile_cuts_a_hundred_thousand_times() -> None:
    assert settings.get_profile("nightly").max_examples * WAYS >= 100_000
    assert len(list(ways_to_cut("a text that is cut", 1))) == WAYS
    assert all("".join(chunks) == "a text that is cut" for chunks in ways_to_cut("a text that is cut", 1))


@given(texts, orders)
def test_what_no_finding_covers_is_untouched(text: str, ordered: Orders) -> None:
    found = finding(ordered)(text)
    covered = {at for one in found for at in range(one.start, one.end)}
    changes = edits(text, found, ordered, KEYS, WIDTH)
    assert {at for change in changes for at in range(change.start, change.end)} == covered


@given(texts, st.lists(st.tuples(st.sampled_from(KINDS), treatments), max_size=4), st.randoms())
def test_the_order_of_orders_is_irrelevant(text: str, those: list[tuple[str, Treatment]], rng: random.Random) -> None:
    shuffled = rng.sample(those, len(those))
    one, other = Orders(tuple(those)), Orders(tuple(shuffled))
    found = finding(one)(text)
    assert edits(text, found, one, KEYS, WIDTH) == edits(text, found, other, KEYS, WIDTH)


VALUES = (
    "bob@acme.com", "4111 1111 1111 1111", "DE89 3704 0044 0532 0130 00", "+1 (202) 555-0143", "10.20.30.40",
    "AKIAIOSFODNN7EXAMPL2", "password = hunter2hunter2", "00:1b:44:11:3a:b7", "https://ann:s3cretpw@acme.com/x",
    "sk_live_4eC39HqLyjWDarjtT1zdp7dc", "078-05-1120", "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2",
    "[phone]", "[date_of_birth]", "03/02/1980",
)  # fmt: skip
BUILT_IN = registry()
REDACTED = Orders(tuple((kind, REDACT) for kind in sorted(BUILT_IN.kinds)))
APART = (" ", ", ", "\n", ": ", '" "', ") (", " = ", " and ", "", "[", "]")
joined = st.lists(st.tuples(st.sampled_from((*VALUES, "a", "7")), st.sampled_from(APART)), max_size=6).map(
    lambda parts: "".join(part for pair in parts for part in pair)
)


def built_in(text: str) -> Sequence[Finding]:
    return find(text, BUILT_IN.kinds, BUILT_IN)


@given(joined)
def test_what_was_redacted_is_not_found_again(text: str) -> None:
    wide = width(BUILT_IN.kinds, BUILT_IN)
    assert wide is not None
    left = applied(text, edits(text, found_in(text, built_in), REDACTED, KEYS, wide))
    assert built_in(left) == ()


@given(joined, st.lists(st.integers(0, 40), max_size=20))
def test_the_built_in_finders_stream_as_they_find(text: str, sizes: list[int]) -> None:
    wide = width(BUILT_IN.kinds, BUILT_IN)
    assert wide is not None
    padded = f"{'x ' * (wide // 2)}{text}{' y' * (wide // 2)}"
    whole = applied(padded, edits(padded, found_in(padded, built_in), REDACTED, KEYS, wide))
    stream = TextStream(built_in, REDACTED, KEYS, wide)
    pieces = [piece for chunk in cuts(padded, sizes) for piece in stream.feed(chunk)] + stream.finish()
    assert "".join(piece.text for piece in pieces) == whole


@given(joined, st.lists(st.integers(0, 40), max_size=20))
def test_blocks_stream_as_the_built_in_finders_find(text: str, sizes: list[int]) -> None:
    wide = width(BUILT_IN.kinds, BUILT_IN)
    assert wide is not None
    parts = cuts(text, sizes)
    borders = sorted(set(accumulate(map(len, parts[:-1]))) - {0, len(text)})
    whole = applied(text, edits(text, found_in(text, built_in, borders), REDACTED, KEYS, wide))
    stream = TextStream(built_in, REDACTED, KEYS, wide, begins(BUILT_IN.kinds, BUILT_IN))
    pieces = []
    for part in parts:
        if part:
            stream.part()
        for character in part:
            pieces += stream.feed(character)
    assert "".join(piece.text for piece in [*pieces, *stream.finish()]) == whole


@pytest.mark.parametrize("value", ["sk_live_4eC39HqLyjWDarjtT1zdp7dc", "4111111111111111", "bob@acme.com"])
def test_brackets_hide_nothing(value: str) -> None:
    assert built_in(f"[{value}]")
    assert built_in(f"[email:{value.lower()}]")
