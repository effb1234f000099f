"""The text of an API key: what is one, what only looks like one, and what of it is kept."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policyengine.callers import api_key

# With a secret that nobody drew.
KEY = api_key.ApiKey("0example0key", "pe_sk_0example0key_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA1nfrUD")


def test_a_key_has_a_prefix_an_id_256_bits_and_a_checksum() -> None:
    made = api_key.new()
    assert re.fullmatch(r"pe_sk_[0-9a-z]{12}_[0-9A-Za-z]{49}", made.text)
    assert api_key.parse(made.text) == made
    assert api_key.parse(KEY.text) == KEY


def test_no_two_keys_are_the_same() -> None:
    keys = [api_key.new() for _ in range(200)]
    assert len({key.text for key in keys}) == len({key.id for key in keys}) == 200


@pytest.mark.parametrize("at", range(len(KEY.text)))
def test_a_key_with_one_letter_changed_is_none(at: int) -> None:
    other = "A" if KEY.text[at] != "A" else "B"
    assert api_key.parse(KEY.text[:at] + other + KEY.text[at + 1 :]) is None


@pytest.mark.parametrize(
    "text",
    ["", "pe_sk_", KEY.text[:-1], KEY.text + "A", " " + KEY.text, KEY.text + "\n", KEY.text.upper(), "٣" * 68,
     "pe_sk_../../../etc_" + "A" * 49, "\ud800" * 68, "pe_sk_" + "a" * 1_000_000],
    ids=range(11),
)  # fmt: skip
def test_what_is_not_a_key_is_none(text: str) -> None:
    assert api_key.parse(text) is None


@given(st.text())
def test_parse_raises_for_no_text(text: str) -> None:
    assert api_key.parse(text) is None
    assert api_key.parse("pe_sk_" + text) is None


def test_the_hash_depends_on_the_hash_key_and_shows_nothing_of_the_key() -> None:
    one, other = api_key.digest(KEY, b"a" * 32), api_key.digest(KEY, b"b" * 32)
    assert one != other
    assert KEY.text not in one
    assert KEY.text[19:] not in repr(KEY)
