"""One connection of an event loop. Commands are sent as they come, and answered in their order.

redis-py opens it and signs in; from then on its bytes are read and written here, which takes a fraction of the time. A
command that is not answered in time ends the connection: whether it was carried out is unknown, and a late answer would
be taken for the next command's.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from policyengine.state.stores.resp import ErrorReply, answer

# How many commands are sent together while others are on their way.
GROUP = 8

Asked = tuple["asyncio.Future[Any]", float]


class Pipe(asyncio.Protocol):
    """`connection` is a connected one of redis-py; `refused` makes an exception from the server's error. Commands wait
    for at most `deadline` seconds. Once the pipe is not `open`, it cannot be used again."""

    def __init__(self, connection: Any, refused: Callable[[str], Exception], deadline: float) -> None:
        self.connection = connection
        self.open = True
        self._loop = asyncio.get_running_loop()
        self._refused = refused
        self._deadline = deadline
        self._asked: deque[Asked] = deque()
        self._unread = b""
        self._unsent: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None
        self._used = self._loop.time()
        self._transport: asyncio.Transport = connection._writer.transport
        # Closing the connection of redis-py waits until its own protocol has been notified.
        self._before = self._transport.get_protocol()
        self._transport.set_protocol(self)

    def ask(self, command: bytes) -> asyncio.Future[Any]:
        """The answer, once it comes. The command is sent even if the caller gives up waiting."""
        if not self.open:
            raise ConnectionError("the connection was closed")
        now, future = self._loop.time(), self._loop.create_future()
        if self._timer is None:
            self._timer = self._loop.call_later(self._deadline, self._look)
        if not self._asked:
            self._transport.write(command)
        else:
            # The commands of one turn of the event loop are sent together, a few at a time: while the server works on
            # those, this process prepares the next.
            self._unsent.append(command)
            if len(self._unsent) >= GROUP:
                self._send()
            elif len(self._unsent) == 1:
                self._loop.call_soon(self._send)
        self._asked.append((future, now))
        return future

    def rested(self, seconds: float) -> bool:
        """Whether no command was sent for this long."""
        return not self._asked and self._loop.time() - self._used > seconds

    def end(self, error: Exception) -> None:
        """Fails all waiting commands with this error."""
        self.open = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._unsent.clear()
        while self._asked:
            if not (future := self._asked.popleft()[0]).done():
                future.set_exception(error)
        self._transport.abort()

    def leave(self) -> None:
        """Closes the transport, because its event loop has ended and will not."""
        self.open = False
        if (socket := getattr(self._transport.get_extra_info("socket"), "_sock", None)) is not None:
            socket.close()

    def _send(self) -> None:
        if self._unsent:
            text = b"".join(self._unsent)
            self._unsent.clear()
            self._transport.write(text)

    def _look(self) -> None:
        """Checks whether the oldest command is overdue."""
        self._timer = None
        if not self._asked:
            return
        left = self._asked[0][1] + self._deadline - self._loop.time()
        if left > 0:
            self._timer = self._loop.call_later(left, self._look)
        else:
            self.end(TimeoutError("it did not answer in time"))

    # ---- what the event loop says ----

    def data_received(self, data: bytes) -> None:
        if self._unread:
            data, self._unread = self._unread + data, b""
        at = 0
        try:
            while at < len(data):
                reply = answer(data, at)
                if reply is None:
                    self._unread = data[at:]
                    break
                said, at = reply
                future, _ = self._asked.popleft()
                if future.done():
                    # The caller has given up.
                    continue
                if type(said) is ErrorReply:
                    future.set_exception(self._refused(said.message))
                else:
                    future.set_result(said)
        except (ConnectionError, IndexError) as error:
            # An answer that is malformed, or to no command, cannot be matched.
            self.end(ConnectionError(str(error)))
        self._used = self._loop.time()

    def eof_received(self) -> None:
        self.open = False

    def connection_lost(self, exc: Exception | None) -> None:
        self.end(
            ConnectionError(f"the connection was closed: {exc}" if exc is not None else "the connection was closed")
        )
        if isinstance(self._before, asyncio.BaseProtocol):
            self._before.connection_lost(exc)
