"""The two readers behind `parse_json` agree, and where JSON readers are known to differ the text is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policyengine.model.json_text import _UNSURE, _parse_plain, _parse_strictly, parse_json
from policyengine.model.values import Fault

texts = st.text(alphabet=st.sampled_from(':"\\ab é\n{},\u2028😀'), max_size=6)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(values, st.booleans(), st.sampled_from([None, (",", ":"), (" , ", " : ")]))
def test_what_is_written_is_read(value: Any, ascii_only: bool, separators: Any) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, separators=separators)
    assert parse_json(text) == value
    assert parse_json(text.encode()) == value


@given(st.dictionaries(texts, values, min_size=1, max_size=3), texts, values, st.sampled_from([":", " :", ": "]))
def test_a_key_is_never_dropped(value: dict[str, Any], key: str, item: Any, colon: str) -> None:
    """A second member of the same name, in any spelling, is always refused."""
    first = next(iter(value))
    again = f"{json.dumps(first)}{colon}{json.dumps(item)}"
    text = json.dumps(value)[:-1] + f", {again}}}"
    nested = json.dumps({key: 0})[:-1] + f', "x{key.encode().hex()}": {text}}}'
    for one in (text, nested, f"[{text}]"):
        with pytest.raises(Fault):
            parse_json(one)


@given(st.binary(max_size=40) | st.text(max_size=40).map(lambda t: t.encode("utf-8", "surrogatepass")))
def test_the_fast_reader_reads_nothing_that_the_strict_one_refuses(data: bytes) -> None:
    value = _parse_plain(data)
    if value is not _UNSURE:
        assert _parse_strictly(data) == value


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "a": 2}', '{"a": 1, "\\u0061": 2}', '{"a:": 1, "a:": 1}', '{"a" :1, "b": "\\u003a", "a": 2}',
        "NaN", "Infinity", "-Infinity", "1e999", "[1e999]", '"\\ud800"', '{"\\udc00": 1}', "", " ", "[", "01", "1 2",
        "\ufeff\ufeff{}", "{}\ufeff", '"\x01"', "'a'", "[" * 100_000, "9" * 5000, "{1: 2}", '{"a": undefined}',
    ],
)  # fmt: skip
def test_refused(text: str) -> None:
    for data in (text, text.encode("utf-8", "surrogatepass")):
        with pytest.raises(Fault) as caught:
            parse_json(data)
        assert caught.value.code == "POL504"


def test_not_utf8() -> None:
    for data in (b'"\xff"', b'"\xed\xa0\x80"', b'"\xc0\xaf"'):
        with pytest.raises(Fault, match="UTF-8"):
            parse_json(data)


def test_a_byte_order_mark_in_front_is_passed_over() -> None:
    assert parse_json("\ufeff{}") == parse_json("\ufeff{}".encode()) == {}
