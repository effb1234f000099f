"""Where finders say that a match may still begin: nothing before it depends on what follows, and prose goes at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policyengine import Engine
from policyengine.detect.registry import begins, find, registry, width
from policyengine.release.edits import applied, edits, found_in
from policyengine.release.keys import Keys
from policyengine.release.stream import Treating
from policyengine.release.treatment import REDACT, Orders, Treatment
from tests.support.examples import half

KNOWN = registry()
KEYS = Keys(b"k" * 32, "acme")
TELLING = sorted(kind for finder in KNOWN.finders if finder.begins is not None for kind in finder.kinds)
VALUES = (
    "bob@acme.com", "4111 1111 1111 1111", "+1 (202) 555-0143", "10.20.30.40", "00:1b:44:11:3a:b7", "2001:db8:85a3::8a",
    "tel", "phone", "card", "@", "bob", "acme.com", "(202)", "555", "0143", "4111", "1111", "http://a:b@c.de",
    "icon@2x.png", "[email]", "[", "]", "a@b.co@c.de", "v1.2.3.4", "%40", "bob%40acme.com", "x",
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

    whole = applied(text, edits(text, found_in(text, look), orders, KEYS, wide))
    stream = Treating(look, orders, KEYS, wide, begin)
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


@pytest.mark.parametrize("kinds", ['"email"', '"phone", "credit_card"', '"email", "phone", "ip", "mac"'])
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
