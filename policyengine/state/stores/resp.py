"""Commands and answers in the wire format of Redis (RESP2). Pure.

In: commands; received bytes. Out: bytes to send; answers. Only the answers of scripts are read here: texts, numbers,
and errors.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

END = b"\r\n"
# Formats of commands, by the number of their parts.
_SHAPES: dict[int, bytes] = {}
_TEXT, _ERROR, _NUMBER, _STATUS = b"$-:+"


class ErrorReply(Struct, frozen=True, gc=False):
    """The server's reason for not carrying out a command."""

    message: str


class Garbled(ConnectionError):
    """The received bytes are not an answer of a script."""


def packed(command: tuple[Any, ...]) -> bytes:
    """A command in wire format. Its parts are texts, bytes and whole numbers."""
    texts = [part if type(part) is bytes else str(part).encode() for part in command]
    shape = _SHAPES.get(len(texts))
    if shape is None:
        shape = _SHAPES[len(texts)] = b"*%d\r\n" % len(texts) + b"$%d\r\n%b\r\n" * len(texts)
    return shape % tuple([each for text in texts for each in (len(text), text)])


def answer(data: bytes, at: int) -> tuple[Any, int] | None:
    """The answer that begins here, and where the next one begins; None if it is incomplete."""
    line = data.find(END, at)
    if line < 0:
        return None
    kind, said, after = data[at], data[at + 1 : line], line + 2
    if kind == _TEXT:
        length = _whole(said)
        if length < 0:
            return None, after
        end = after + length
        return (data[after:end], end + 2) if end + 2 <= len(data) else None
    if kind == _ERROR:
        return ErrorReply(said.decode(errors="replace")), after
    if kind == _NUMBER:
        return _whole(said), after
    if kind == _STATUS:
        return said, after
    raise Garbled("the server sent an answer that no script gives")


def _whole(said: bytes) -> int:
    try:
        return int(said)
    except ValueError:
        raise Garbled("the server sent an invalid answer") from None
