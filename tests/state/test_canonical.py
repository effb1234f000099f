"""The RFC 8785 form is what the library makes of it, or refused as there."""

from __future__ import annotations

from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from policyengine.state.canonical import canonical

TEXTS = st.text(max_size=8) | st.sampled_from(
    ["\x7f", "\u2028", "a\\", "1.5", ":1.5", ",9007199254740993", "e", "\ud800"]
)
NUMBERS = st.integers() | st.floats() | st.sampled_from([2**53 - 1, 2**53, -(2**53), 10**15, -0.0, 1e21, 1e-7, True])
VALUES = st.recursive(
    st.none() | TEXTS | NUMBERS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
)


def made(by: Any, value: Any) -> Any:
    try:
        return by(value)
    except ValueError:
        return "refused"


@given(st.dictionaries(TEXTS, VALUES, max_size=4))
def test_it_is_what_the_library_makes_of_it(value: dict[str, Any]) -> None:
    assert made(canonical, value) == made(rfc8785.dumps, value)


@pytest.mark.parametrize(
    "value",
    [
        {"a": 9007199254740993}, {"a": [1.5]}, {"a": [-1e21]}, {"\ue000": 1, "\U00010000": 2},
        {"a": "\x7f\x00\b\f\"\\"},
        {"a": float("nan")}, {"a": float("-inf")}, {"a": "\ud800"}, {"a": b"x"}, {"b": 1, "a": {"d": None, "c": True}},
        {"a": 100000000000000000000.0}, {"a": [0.1, 9007199254740991]}, {"a": "x:1.5"},
    ],
)  # fmt: skip
def test_what_could_differ_does_not(value: dict[str, Any]) -> None:
    assert made(canonical, value) == made(rfc8785.dumps, value)
