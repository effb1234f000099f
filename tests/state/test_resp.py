"""What Redis says on the wire, however it comes."""

from __future__ import annotations

import socket

import pytest

from policyengine.state.stores.connections import _exchange
from policyengine.state.stores.resp import ErrorReply, Garbled, answer, packed

SAID = [
    (b"$5\r\na\r\nbc\r\n", b"a\r\nbc"),
    (b"$0\r\n\r\n", b""),
    (b"$-1\r\n", None),
    (b":-42\r\n", -42),
    (b"+OK\r\n", b"OK"),
    (b"-ERR it cannot\r\n", ErrorReply("ERR it cannot")),
]


@pytest.mark.parametrize(("text", "value"), SAID)
def test_an_answer_is_there_once_all_of_it_is(text: bytes, value: object) -> None:
    for cut in range(len(text)):
        assert answer(text[:cut], 0) is None
    assert answer(text, 0) == (value, len(text))
    assert answer(b":1\r\n" + text + b"+more", 4) == (value, 4 + len(text))


@pytest.mark.parametrize("text", [b"*1\r\n", b"$x\r\n", b":\r\n", b"%1\r\n", b"HTTP/1.1 200 OK\r\n"])
def test_what_no_script_says_is_no_answer(text: bytes) -> None:
    with pytest.raises(Garbled):
        answer(text, 0)


def test_a_command_says_how_long_its_parts_are() -> None:
    assert packed(("SET", b"k\r\n", 7, "é")) == b"*4\r\n$3\r\nSET\r\n$3\r\nk\r\n\r\n$1\r\n7\r\n$2\r\n\xc3\xa9\r\n"


@pytest.mark.parametrize("said", [b"+OK\r\n+OK\r\n", b"+OK\r\n$3\r\n", b"+O"])
def test_neither_more_nor_less_than_an_answer_is_taken_for_one(said: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours:
        theirs.sendall(said)
        theirs.close()
        with pytest.raises(ConnectionError):
            _exchange(ours, b"")


def test_a_client_that_was_closed_answers_nothing() -> None:
    with pytest.raises(ConnectionError):
        _exchange(None, b"")
