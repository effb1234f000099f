"""Standard input and output as the two streams of a server, on the event loop itself.

The library passes each message through threads, three times for a call. Here pipes and sockets, with which clients
start a server, are read and written where the messages are handled. Meanwhile the standard input of the process is
empty, and what it prints goes to standard error, so that the client receives only messages.
"""

from __future__ import annotations

import asyncio
import logging
import os
import stat
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import anyio
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage

from policyengine.mcp.message_streams import LONGEST_MESSAGE, IncomingMessages, MessageStream, MessageTooLong, written

log = logging.getLogger(__name__)

# So many messages wait to be taken, at most: then nothing more is read.
MOST_WAITING = 100
# For so many seconds a client that does not read is waited for in the end.
LAST_WORDS = 2.0


class MessagesIn(asyncio.Protocol, IncomingMessages):
    """The messages of a client."""

    def __init__(self) -> None:
        IncomingMessages.__init__(self)
        self._came = asyncio.Event()
        self._ended = False
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        try:
            self.lines.add(data)
        except MessageTooLong:
            log.warning(
                "a client sent more than %d bytes as one message, and is listened to no longer", LONGEST_MESSAGE
            )
            self._transport.close()
            self._end()
            return
        if not self.lines:
            return
        self._came.set()
        if len(self.lines) > MOST_WAITING:
            self._transport.pause_reading()

    def eof_received(self) -> None:
        self._end()

    def connection_lost(self, _: Exception | None) -> None:
        self._end()

    def _end(self) -> None:
        self._ended = True
        self._came.set()

    async def more(self) -> None:
        if self._ended:
            raise anyio.EndOfStream
        self._came.clear()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()
        await self._came.wait()

    async def aclose(self) -> None:
        self._transport.close()
        self._end()


class MessagesOut(asyncio.BaseProtocol, MessageStream):
    """The messages that go out. A writer waits while the client does not read."""

    def __init__(self) -> None:
        self._free = asyncio.Event()
        self._free.set()
        self._lost = asyncio.Event()
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def pause_writing(self) -> None:
        self._free.clear()

    def resume_writing(self) -> None:
        self._free.set()

    def connection_lost(self, _: Exception | None) -> None:
        self._lost.set()
        self._free.set()

    async def send(self, item: SessionMessage) -> None:
        if self._lost.is_set() or self._transport.is_closing():
            raise anyio.BrokenResourceError
        self._transport.write(written(item))
        await self._free.wait()

    async def aclose(self) -> None:
        self._transport.close()

    async def ended(self) -> None:
        """What was written has gone out, if there is anybody who takes it."""
        with anyio.move_on_after(LAST_WORDS, shield=True):
            await self._lost.wait()


@asynccontextmanager
async def standard_streams() -> AsyncIterator[tuple[Any, Any]]:
    """The streams of a server for one client. Where they are not pipes or sockets, as the library has them."""
    if not _are_pipes():
        async with stdio_server() as streams:
            yield streams
        return
    loop = asyncio.get_running_loop()
    with _set_aside() as (incoming, outgoing):
        # A transport closes what it is given.
        _, reading = await loop.connect_read_pipe(MessagesIn, os.fdopen(os.dup(incoming), "rb", 0))
        _, writing = await loop.connect_write_pipe(MessagesOut, os.fdopen(os.dup(outgoing), "wb", 0))
        try:
            yield reading, writing
        finally:
            await reading.aclose()
            await writing.aclose()
            await writing.ended()


@contextmanager
def _set_aside() -> Iterator[tuple[int, int]]:
    """The descriptors of the client, while those of the process lead nowhere it would see."""
    ours = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    try:
        os.dup2(nothing, 0)
        os.dup2(2, 1)
        yield ours
    finally:
        for number, own in enumerate(ours):
            with suppress(OSError):
                os.set_blocking(own, True)
            os.dup2(own, number)
            os.close(own)
        os.close(nothing)


def _are_pipes() -> bool:
    """Whether both are pipes or sockets of which one end is here. One socket for both could not be told from a client
    that is gone."""
    if sys.platform == "win32":
        return False
    try:
        statuses = [os.fstat(number) for number in (0, 1, 2)]
    except OSError:
        return False
    incoming, outgoing, _ = statuses
    piped = all(stat.S_ISFIFO(one.st_mode) or stat.S_ISSOCK(one.st_mode) for one in (incoming, outgoing))
    return piped and incoming.st_ino != outgoing.st_ino
