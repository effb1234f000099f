"""What holds of every finder and every text.

| law | equation |
|---|---|
| finders are total | find(text) raises for no text; findings are sorted, in the text and of the finder's kinds |
| findings are local | what is found in text[a:b], W away from where it was cut, is what is found there in text |
| findings are near | what begins at a or later is found in text[a - reach:], and has a character of `holds` in it |
| findings have signs | where one of `signs` matches nothing in shadow(text), find(text) is empty |
| short texts have what long ones have | find(text) = find(text + what says nothing) |
| many texts have what each has | find_many(texts, kinds) = [find(text, kinds) for text in texts] |
| fewer kinds find the same | find(text, kinds) = what find(text, all) has of these kinds |
| a stream is the whole | what is covered, read piece by piece with `forgettable`, is what is covered in the whole |
| finders share what they read | find(text, all) = the findings of each finder, asked by itself |
| Hyperscan finds what the automaton finds | by_hyperscan(words)(data) = by_automaton(words)(data), in that order |
| time is linear | twice the text, twice the work |
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policyengine.detect import Finder, Finding, find, find_many, literals, width
from policyengine.detect.finding import place
from policyengine.detect.literals import by_automaton, by_hyperscan
from policyengine.detect.prefilter import worth
from policyengine.detect.registry import SHORT, Registry
from policyengine.detect.secrets import finder
from policyengine.detect.secrets.finder import FORMATS
from policyengine.detect.shadow import shadow
from policyengine.detect.stream_window import forgettable, without
from policyengine.detect.view import View
from tests.detect.planted import KNOWN, PIECES, TOKEN, texts, written
from tests.support.examples import few, half

EVERY = sorted(KNOWN.kinds)
WORTH = {finder.name: worth((finder,)) for finder in KNOWN.finders if finder.signs}
SIGNED = sorted(kind for finder in KNOWN.finders if finder.signs for kind in finder.kinds)
by_name = pytest.mark.parametrize("finder", KNOWN.finders, ids=lambda f: f.name)


@given(texts)
def test_finders_are_total(text: str) -> None:
    found = find(text, EVERY, KNOWN)
    assert list(found) == sorted(found, key=place)
    assert len(set(found)) == len(found)
    assert all(0 <= f.start < f.end <= len(text) and 0 <= f.score <= 1 for f in found)


@few(4)
@given(texts)
def test_finders_share_what_they_read(text: str) -> None:
    each = {found for finder in KNOWN.finders for found in find(text, finder.kinds, KNOWN)}
    assert set(find(text, EVERY, KNOWN)) == each


LITERALS = list(dict.fromkeys(one.literal.encode() for one in FORMATS))
AUTOMATON, HYPERSCAN = by_automaton(LITERALS), by_hyperscan(LITERALS)
_some_of_them = st.lists(st.one_of(st.sampled_from(LITERALS), st.binary(max_size=3)), max_size=30).map(b"".join)


@given(_some_of_them)
def test_hyperscan_finds_what_the_automaton_finds(data: bytes) -> None:
    assert list(HYPERSCAN(data)) == list(AUTOMATON(data))


@few(4)
@given(texts)
def test_secrets_are_the_same_with_hyperscan(text: str) -> None:
    with_it, without = finder.tables(by_hyperscan), finder.tables(by_automaton)
    assert list(finder.find(View(text), with_it)) == list(finder.find(View(text), without))


@by_name
@given(text=texts, data=st.data())
def test_findings_are_local(finder: Finder, text: str, data: st.DataObject) -> None:
    reach = finder.width or 0
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    low = start + reach if start else 0
    high = end - reach if end < len(text) else end
    whole = {f for f in finder.find(text) if f.end - f.start < reach and low <= f.start and f.end <= high}
    part = {
        Finding(f.kind, f.start + start, f.end + start, f.score, f.detector)
        for f in finder.find(text[start:end])
        if f.end - f.start < reach and low <= f.start + start and f.end + start <= high
    }
    assert part == whole


@by_name
@half
@given(text=texts, data=st.data())
def test_findings_are_near(finder: Finder, text: str, data: st.DataObject) -> None:
    reach = finder.width if finder.reach is None else finder.reach
    assert reach is not None
    start = data.draw(st.integers(0, len(text)))
    low = max(0, start - reach)
    found = finder.find(text)
    there = {(f.kind, f.start + low) for f in finder.find(text[low:])}
    assert {(f.kind, f.start) for f in found if f.start >= start} <= there
    if finder.holds is not None:
        held = re.compile(finder.holds)
        assert all(held.search(text, f.start, f.end) for f in found)
    if found and finder.signs:
        assert finder in WORTH[finder.name](shadow(text))


@by_name
@given(text=written)
def test_written_numbers_have_signs_and_are_the_same_in_a_long_text(finder: Finder, text: str) -> None:
    found = finder.find(text)
    assert list(found) == list(finder.find(text + "\n" * SHORT))
    if found and finder.signs:
        assert finder in WORTH[finder.name](shadow(text))


@few(4)
@given(text=texts, data=st.data())
def test_fewer_kinds_find_the_same(text: str, data: st.DataObject) -> None:
    short = text[: SHORT - 1]
    kinds = data.draw(st.frozensets(st.sampled_from(EVERY), min_size=1, max_size=4))
    assert find(short, kinds, KNOWN) == tuple(one for one in find(short, EVERY, KNOWN) if one.kind in kinds)


@few(4)
@given(st.lists(texts, max_size=5), st.frozensets(st.sampled_from(SIGNED), min_size=1, max_size=9))
def test_many_texts_have_what_each_has(many: list[str], kinds: frozenset[str]) -> None:
    assert find_many(many, kinds, KNOWN) == [find(text, kinds, KNOWN) for text in many]


WHOLE = [
    *("acme.com", "www.acme.com", "ann@example.com", "0171 123 4567", "(415) 555-2671", "4111 1111 1111 1111"),
    *("DE89 3704 0044 0532 0130 00", "81.2.69.142", "::ffff:81.2.69.142", "123-45-6789", "pesel 44051401359"),
    *("3c:22:fb:9a:01:7e", "BIC: DEUTDEFF500", "call", "4111", "1111 1111 1111", "@", ".com", "\0", ""),
]


@pytest.mark.parametrize("kinds", [SIGNED, ["domain"], ["email"], ["phone", "credit_card"]], ids=len)
def test_many_texts_are_texts_of_their_own(kinds: list[str]) -> None:
    """What begins a text, ends one or is all of it, beside what may belong to a neighbour."""
    for other in WHOLE:
        many = [text for one in WHOLE for text in (one, other, f"{one}\0{other}\0\n{one}")]
        assert find_many(many, kinds, KNOWN) == [find(text, kinds, KNOWN) for text in many]


def covered(found: list[Finding], low: int, high: int, into: set[tuple[str, int]], shift: int = 0) -> None:
    for one in found:
        into.update((one.kind, at + shift) for at in range(max(one.start, low), min(one.end, high)))


@by_name
@given(text=texts, data=st.data())
def test_a_stream_is_the_whole(finder: Finder, text: str, data: st.DataObject) -> None:
    reach = finder.width or 0
    step = data.draw(st.integers(max(1, reach // 2), 3 * reach + 1))
    whole: set[tuple[str, int]] = set()
    covered(list(finder.find(text)), 0, len(text), whole)
    streamed: set[tuple[str, int]] = set()
    seen, done, shift = "", 0, 0
    for at in range(0, len(text) + step, step):
        seen += text[at : at + step]
        last = at + step >= len(text)
        until = len(seen) if last else len(seen) - reach
        if until <= done:
            continue
        found = list(finder.find(seen))
        covered(found, done, until, streamed, shift)
        done = until
        parts = forgettable(found, done, reach)
        gone = sum(end - start for start, end in parts)
        seen, done, shift = without(seen, parts), done - gone, shift + gone
        if last:
            break
    assert streamed == whole


def work(call: Callable[[], object]) -> int:
    """How many lines and calls of Python this takes."""
    count = 0

    def note(frame: object, event: str, arg: object) -> object:
        nonlocal count
        count += 1
        return note

    before = sys.gettrace()
    sys.settrace(note)  # type: ignore[arg-type]
    try:
        call()
    finally:
        sys.settrace(before)
    return count


HOSTILE = [
    *(
        "A",
        "7",
        "a1",
        "eyJ",
        "sk-",
        "ghp_",
        "://",
        "://a:",
        "@",
        "a@",
        "a.",
        "-----BEGIN PRIVATE KEY-----",
        "password=",
        "key:key",
        "[",
        "![",
    ),
    *(
        "7 ",
        "7-",
        "1.",
        "1:",
        "::",
        "0x",
        "<img ",
        "<img src=//",
        " -u curl",
        "born ",
        "12 A St ",
        "\u200b",
        "аa",
        "ignoreall",
        "zxlk",
        "ZXlK",
    ),
    *(
        "Authorization: ",
        "url(",
        "2022-",
        "+1",
        "(1",
        "pan ",
        "KEY-----",
        "AKIA",
        "xoxb-",
        ".acc",
        "token='",
        "%25",
        "+eJ",
        "a" * 63 + ".",
    ),
    *(TOKEN[:20], "12345", "CASE-1", "bluebird "),
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_work_is_linear_in_the_text(piece: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Hyperscan counts its matches in Python: where it looks at one of two sizes, it looks at both.
    monkeypatch.setattr(literals, "SHORT", 1_024)

    def ask(size: int) -> int:
        text = piece * (size // len(piece))
        return work(lambda: find(text, EVERY, KNOWN))

    # What is made when it is first needed is no work of the text, and from 1 kB on texts are looked at in another way.
    ask(8_000)
    small, large = ask(2_000), ask(8_000)
    assert large < 5.5 * small + 4_000


def test_findings_of_a_text_full_of_them_are_linear() -> None:
    def ask(count: int) -> int:
        text = "".join(f"{PIECES[i % len(PIECES)]}\n" for i in range(count))
        return work(lambda: find(text, EVERY, KNOWN))

    ask(800)  # what is made when it is first needed is no work of the text
    assert ask(800) < 5 * ask(200) + 2_000


def test_the_width_of_all_is_bounded() -> None:
    assert isinstance(KNOWN, Registry)
    assert 0 < (width(EVERY, KNOWN) or 0) < 2_500
