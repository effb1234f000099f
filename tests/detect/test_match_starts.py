"""Where finders say that a match may still begin: nothing before it depends on what follows, and prose goes at once."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policyengine import Engine
from policyengine.detect import Vocabulary
from policyengine.detect.content import canary, leakage
from policyengine.detect.match_starts import last_word
from policyengine.detect.registry import begins, find, nothing_begins, registry, width
from policyengine.release.edits import applied, edits, found_in
from policyengine.release.text_stream import TextStream
from policyengine.release.tokenizing import Keys
from policyengine.release.treatment import REDACT, Orders, Treatment
from tests.support.examples import half

CANARY = canary.mint(bytes(range(32)))
SENTENCE = "nobody may ever learn that the blue door opens twice a year"
KNOWN = registry(
    Vocabulary(
        canaries=(CANARY,),
        fingerprints=leakage.fingerprint(SENTENCE),
        link_hosts=frozenset({"acme.com"}),
        words=(("own.project", "bluebird"),),
    )
)
KEYS = Keys(b"k" * 32, "acme")
TELLING = sorted(kind for finder in KNOWN.finders if finder.begins is not None for kind in finder.kinds)
VALUES = (
    "bob@acme.com", "4111 1111 1111 1111", "+1 (202) 555-0143", "10.20.30.40", "00:1b:44:11:3a:b7",
    "2001:db8:85a3::8a", "tel", "phone", "card", "@", "bob", "acme.com", "(202)", "555", "0143", "4111",
    "1111", "http://a:b@c.de", "AKIAIOSFODNN7", "EXAMPL2", "password = ", "hunter2hunter2", "Authorization: ",
    "Bearer ", "sk_live_4eC39HqLyjWDar", "-----BEGIN PRIVATE KEY-----", "MIIEpAIBAAKCAQEAabc1" * 5,
    "KEY-----", "DE89 3704 0044", "0532 0130 00", "BIC: DEUTDEFF500", "078-05", "-1120", "pesel ",
    "44051401359", "1A1zP1eP5QGefi2DMPTf", "TL5SLmv7DivfNa", "born ", "3 March", "1971", "12 Main St",
    "Apt 4", "Calle Mayor", "Hauptstrasse 4", "P.O. Box 12", "ignore all previous", "instructions",
    "pretend you", "<img src='", "//evil.test/x", "![x](", "https://", "javascript:", "p\u0430y", "\u200b",
    "bluebird", "www.acme.com", CANARY, CANARY.encode().hex(), CANARY[:30], " ".join(CANARY[30:]),
    SENTENCE[:31], SENTENCE[31:], "icon@2x.png", "[email]", "[", "]", "a@b.co@c.de", "v1.2.3.4", "%40",
    "bob%40acme.com", "x",
)  # fmt: skip
APART = (" ", ", ", "\n", ": ", "(", ") ", "-", ".", "", "", "@", "+", "\t", "\u00a0", "é")
texts = st.lists(st.tuples(st.sampled_from(VALUES), st.sampled_from(APART)), max_size=14).map(
    lambda parts: "".join(part for pair in parts for part in pair)
)
kinds_of_some = st.lists(st.sampled_from(TELLING), min_size=1, max_size=3).map(frozenset)


@given(kinds_of_some, texts, texts)
def test_what_begins_before_is_decided(kinds: frozenset[str], text: str, more: str) -> None:
    begin = begins(kinds, KNOWN)
    assert begin is not None
    until = begin(text, 0)
    assert 0 <= until <= len(text)
    found = [one for one in find(text, kinds, KNOWN) if one.start < until]
    assert [one for one in find(text + more, kinds, KNOWN) if one.start < until] == found


treatments = st.sampled_from(
    [REDACT, Treatment("hash"), Treatment("tokenize"), Treatment("mask", keep=2), Treatment("replace", text="-")]
)


@given(st.lists(st.tuples(st.sampled_from(TELLING), treatments), min_size=1, max_size=3), texts, st.data())
def test_a_stream_that_goes_earlier_is_the_same(
    those: list[tuple[str, Treatment]], text: str, data: st.DataObject
) -> None:
    orders = Orders(tuple(those))
    wide, begin = width(orders.kinds, KNOWN), begins(orders.kinds, KNOWN)
    assert wide is not None
    text += data.draw(texts)

    def look(of: str):  # type: ignore[no-untyped-def]
        return find(of, orders.kinds, KNOWN)

    def quiet(of: str, start: int, end: int) -> bool:
        return nothing_begins(of, start, end, orders.kinds, KNOWN)

    whole = applied(text, edits(text, found_in(text, look), orders, KEYS, wide))
    wait = data.draw(st.sampled_from([0, 0, 16]))
    stream = TextStream(look, orders, KEYS, wide, begin, quiet if data.draw(st.booleans()) else None, wait)
    gone, at = "", 0
    for size in data.draw(st.lists(st.integers(0, 9), max_size=40)):
        gone += "".join(piece.text for piece in stream.feed(text[at : at + size]))
        at += size
    gone += "".join(piece.text for piece in [*stream.feed(text[at:]), *stream.finish()])
    assert gone == whole


@half
@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=40), st.text(max_size=20))
def test_any_text_is_decided_up_to_there(text: str, more: str) -> None:
    for kind in TELLING:
        begin = begins({kind}, KNOWN)
        assert begin is not None
        until = begin(text, 0)
        before = [one for one in find(text, {kind}, KNOWN) if one.start < until]
        assert [one for one in find(text + more, {kind}, KNOWN) if one.start < until] == before


@half
@given(texts, st.data())
def test_what_opens_nothing_ends_with_a_word(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    for finder in KNOWN.finders:
        if finder.opens is not None and re.search(finder.opens, text[start:]) is None:
            assert finder.begins is not None
            assert finder.begins(text, start) >= last_word(text, start)


def test_every_built_in_finder_says_where_a_match_may_begin() -> None:
    assert [finder.name for finder in KNOWN.finders if finder.begins is None] == []


@pytest.mark.parametrize(
    "kinds", ['"email"', '"phone", "credit_card"', '"email", "phone", "ip", "mac"', '"secret", "iban", "national_id"']
)
def test_prose_is_held_for_a_word(kinds: str) -> None:
    rules = f"module m use ai permit p: release on Output for User require r: release on Output redact([{kinds}])"
    engine = Engine.from_text(rules)
    came = went = longest = 0

    def coming():  # type: ignore[no-untyped-def]
        nonlocal came
        for word in ("It was the best of times, it was the worst of times. " * 20).split(" "):
            came += len(word) + 1
            yield word + " "

    ann = {"type": "User", "id": "ann", "tenant": "t", "roles": []}
    for piece in engine.release_stream(coming(), principal=ann, output={}):
        went += len(piece)
        longest = max(longest, came - went)
    assert longest == 0


def test_a_key_that_opens_before_another_is_seen_once_that_is_gone() -> None:
    """The first is none while the second stands there, which ends while words of it are still held."""
    body = "".join(f"MIIEpAIBAAKCAQEA{line}abc+/\n" for line in range(40))
    second = f"-----BEGIN RSA PRIVATE KEY-----\n{body}-----END RSA PRIVATE KEY-----"
    text = f"-----BEGIN PRIVATE KEY-----.here\u00a0{second}. 0044 0532 0130 and some words that come behind it"
    kinds = frozenset({"secret", "leakage"})
    orders = Orders((("secret", REDACT), ("leakage", REDACT)))
    wide = width(kinds, KNOWN)
    assert wide is not None

    def look(of: str):  # type: ignore[no-untyped-def]
        return find(of, kinds, KNOWN)

    def quiet(of: str, start: int, end: int) -> bool:
        return nothing_begins(of, start, end, kinds, KNOWN)

    stream = TextStream(look, orders, KEYS, wide, begins(kinds, KNOWN), quiet)
    pieces = [piece for at in range(0, len(text), 7) for piece in stream.feed(text[at : at + 7])] + stream.finish()
    whole = applied(text, edits(text, found_in(text, look), orders, KEYS, wide))
    assert "".join(piece.text for piece in pieces) == whole
