"""Messages over byte streams, one on each line, for either end of a pipe."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from typing import Self

import anyio
import mcp_types as types
from mcp.shared.message import SessionMessage

# Bytes of one message, in either direction of a pipe.
LONGEST_MESSAGE = 64 << 20


class MessageTooLong(Exception):
    """A line that does not end: there is no telling what it would be."""


class MessageLines:
    """What came, line by line."""

    def __init__(self) -> None:
        self._whole: deque[bytes] = deque()
        self._rest: list[bytes] = []
        self._length = 0

    def __len__(self) -> int:
        return len(self._whole)

    def add(self, data: bytes) -> None:
        """Raises MessageTooLong; what came before stays."""
        first, *lines = data.split(b"\n")
        self._length += len(first)
        if self._length > LONGEST_MESSAGE:
            self._rest.clear()
            raise MessageTooLong
        self._rest.append(first)
        if lines:
            self._whole.append(b"".join(self._rest))
            self._whole.extend(lines[:-1])
            self._rest, self._length = [lines[-1]], len(lines[-1])

    def take(self) -> bytes:
        return self._whole.popleft()


class MessageStream:
    """What the stream of either direction is to the library."""

    async def aclose(self) -> None:
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


class IncomingMessages(MessageStream, ABC):
    """Messages that come in. What is not a message comes in as the error that it is."""

    def __init__(self) -> None:
        self.lines = MessageLines()

    @abstractmethod
    async def more(self) -> None:
        """Wait until more has come. Raises anyio.EndOfStream where nothing comes any more."""

    async def receive(self) -> SessionMessage | Exception:
        while True:
            while not self.lines:
                await self.more()
            line = self.lines.take()
            if line.strip():
                return _read(line)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None


def written(item: SessionMessage) -> bytes:
    """The line of a message."""
    return item.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n"


def _read(line: bytes) -> SessionMessage | Exception:
    try:
        return SessionMessage(types.jsonrpc_message_adapter.validate_json(line.decode(errors="replace"), by_name=False))
    except ValueError as error:
        return error
