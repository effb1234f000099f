"""The events of a body, however it comes: the same ones, for work in its size."""

from __future__ import annotations

import asyncio
import sys
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policyengine.server.errors import RequestError
from policyengine.server.release_events import events

BODY = b'event: a\r\ndata: {"x": 1}\r\n\r\ndata: one\ndata: two\n\n: nothing\n\ndata: "last"'
EXPECTED = [("a", '{"x": 1}'), ("", "one\ntwo"), ("", '"last"')]


def read(pieces: list[bytes], limit: int = 1 << 20) -> list[tuple[str, str]]:
    coming = [
        {"type": "http.request", "body": piece, "more_body": n < len(pieces)} for n, piece in enumerate(pieces, 1)
    ]

    async def receive() -> Any:
        return coming.pop(0)

    async def listed() -> list[tuple[str, str]]:
        return [(event.name, event.data) async for event in events(receive, limit)]

    return asyncio.run(listed())


@given(st.lists(st.integers(0, len(BODY))))
def test_it_does_not_matter_how_a_body_is_cut(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(BODY)]
    assert read([BODY[a:b] for a, b in pairwise(places)]) == EXPECTED


def test_a_line_is_gone_through_as_often_as_it_has_parts() -> None:
    work = {}
    for size in (20_000, 40_000):
        line = b'data: "' + b"x" * size + b'"\n\n'
        work[size] = gone_through([line[n : n + 10] for n in range(0, len(line), 10)])
    assert work[40_000] < 2.2 * work[20_000]


def gone_through(pieces: list[bytes]) -> int:
    """How many bytes are looked at for what ends lines."""
    count = 0

    def called(frame: Any, event: str, arg: Any) -> None:
        nonlocal count
        if event == "c_call" and type(getattr(arg, "__self__", None)) is bytearray:
            count += len(arg.__self__)

    sys.setprofile(called)
    try:
        assert len(read(pieces)) == 1
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("pieces", [[b"x" * 60] * 2, [b"data: " + b"x" * 60 + b"\n"] * 2])
def test_an_event_that_is_too_long_is_refused_before_its_end(pieces: list[bytes]) -> None:
    with pytest.raises(RequestError) as refused:
        read([*pieces, b""], limit=100)
    assert refused.value.status == 413
