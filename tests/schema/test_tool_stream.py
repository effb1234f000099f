"""Recordings of tools: one JSON value, JSON Lines and server-sent events; nothing in them is passed over."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policyengine.model.values import Fault
from policyengine.schema.tool_stream import read_documents


@pytest.mark.parametrize(
    ("data", "value"),
    [
        ('{"a": 1}', {"a": 1}),
        ('{\n"a":\n1}', {"a": 1}),
        ('\ufeff{"a": 1}', {"a": 1}),
        ("3", 3),
        ('{"a": 1}\n{"b": 2}', [{"a": 1}, {"b": 2}]),
        ('\ufeff{"a": 1}\r\n\r\n[2]\r\n', [{"a": 1}, [2]]),
        ('{"a": "\u2028\x85"}\n{}', [{"a": "\u2028\x85"}, {}]),
        ('data: {"a": 1}\n\n', {"a": 1}),
        ('data: {"a": 1}', {"a": 1}),
        ('data:{"a": 1}\r\rdata: 2\r\r', [{"a": 1}, 2]),
        ('\ufeff: hello\nevent: message\nid: 7\nretry: 9\ndata: {"a":\ndata: 1}\n\n\ndata: 2', [{"a": 1}, 2]),
        (": ping\n\n", []),
    ],
)
def test_documents(data: str, value: Any) -> None:
    assert read_documents(data.encode()) == value


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ('{"a": 1}\n{"b": ', "line 2: not JSON"),
        ('{"a": 1}\n\n{"b": 1, "b": 2}', "line 3: an object has the same key twice"),
        ('{"a": 1}\ntrue false', "line 2: not JSON"),
        ('{"a": 1} {"b": 2}', "not JSON: extra data at line 1 column 10"),
        ('{\n"a": 1,\n}', "not JSON"),
        ("3\n4", "not JSON"),
        ("", "not JSON"),
        ('data: {"a": 1}\n\nevent: endpoint\ndata: /messages\n\n', "the event at line 4: not JSON"),
        ("data: 1\n\ndata: [DONE]", "the event at line 3: not JSON"),
        ('data: {"a": 1, "a": 2}\n\n', "the event at line 1: an object has the same key twice"),
        ("data\n\ndata: 1\n\n", "the event at line 1: not JSON"),
        ("data: 1\n\n{}", "line 3: not a field of a server-sent event"),
        ("data: 1\nid\nDATA: 2", "line 3: not a field"),
        ("data: 1\n \n", "line 2: not a field"),
    ],
)
def test_what_is_not_wholly_read_is_an_error(data: str, message: str) -> None:
    with pytest.raises(Fault) as raised:
        read_documents(data.encode())
    assert message in raised.value.message


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(VALUES.filter(lambda value: isinstance(value, dict | list)), min_size=2, max_size=4), st.booleans())
def test_what_was_written_is_read(values: list[Any], ascii_only: bool) -> None:
    texts = [json.dumps(value, ensure_ascii=ascii_only) for value in values]
    assert read_documents("\n".join(texts).encode()) == values
    assert read_documents("".join(f"data: {text}\n\n" for text in texts).encode()) == values


@given(st.binary(max_size=40) | st.text(alphabet='da:t \n\r{}[]"1', max_size=40).map(str.encode))
@pytest.mark.fuzz
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    value: Any = None
    with contextlib.suppress(Fault):
        value = read_documents(data)
    assert json.loads(json.dumps(value)) == value
