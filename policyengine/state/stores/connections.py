"""Commands to a Redis over the connections of redis-py, without its client's work for each command.

In: commands. Out: the answer to each. redis-py opens connections and signs in; the traffic on them is written and read
here. A connection that was used a moment ago is used again at once; otherwise it is first checked whether the server
has closed it. In an event loop all commands go over one connection (`pipe.py`). `ClientConnections` and
`ClientConnectionsAsync` use the client, which knows the nodes of a cluster.
"""

from __future__ import annotations

import asyncio
import os
from time import monotonic
from typing import Any

from policyengine.state.stores.pipe import Pipe
from policyengine.state.stores.resp import ErrorReply, answer, packed

# How long after its last answer a connection is not checked, in seconds.
FRESH = 1.0
# How many bytes are read at once.
READ = 65_536


class ClientConnections:
    """Sends each command through the client."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def ask(self, *command: Any) -> Any:
        return self._client.execute_command(*command)


class Connections(ClientConnections):
    """Sends commands from any thread."""

    def __init__(self, client: Any) -> None:
        super().__init__(client)
        self._pool = client.connection_pool
        self._free: list[tuple[Any, float]] = []
        self._process = os.getpid()

    def ask(self, *command: Any) -> Any:
        return self.send(packed(command))

    def send(self, command: bytes) -> Any:
        """As `ask`, for a command in wire format."""
        connection = self._take()
        try:
            said = _exchange(connection._sock, command)
        except BaseException:
            # An unread answer would be taken for the answer to the next command.
            connection.disconnect()
            self._pool.release(connection)
            raise
        self._free.append((connection, monotonic()))
        if type(said) is ErrorReply:
            raise _refused(connection, said.message)
        return said

    def _take(self) -> Any:
        if self._process != os.getpid():
            # The connections belong to the parent process.
            self._free, self._process = [], os.getpid()
        while self._free:
            try:
                connection, used = self._free.pop()
            except IndexError:
                break
            if monotonic() - used < FRESH and connection._sock is not None:
                return connection
            self._pool.release(connection)
        return self._pool.get_connection()


def _exchange(socket: Any, command: bytes) -> Any:
    """The answer to a command; the socket has its own deadline, and is None if the client has been closed."""
    if socket is None:
        raise ConnectionError("the connection was closed")
    socket.sendall(command)
    came = socket.recv(READ)
    while came:
        if (reply := answer(came, 0)) is not None:
            if reply[1] != len(came):
                # The rest belongs to no command, and would be taken for the next answer.
                raise ConnectionError("the server sent more than it was asked for")
            return reply[0]
        more = socket.recv(READ)
        if not more:
            break
        came += more
    raise ConnectionError("the connection was closed")


def _refused(connection: Any, message: str) -> Exception:
    """The exception that redis-py raises for this message."""
    error: Exception = connection._parser.parse_error(message)
    return error


class ClientConnectionsAsync:
    """Sends each command through the client."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def ask(self, *command: Any) -> Any:
        return await self._client.execute_command(*command)

    async def close(self) -> None:
        await self._client.aclose()

    def leave(self) -> None:
        """Closes what can be closed without the event loop, which has ended."""


class ConnectionsAsync(ClientConnectionsAsync):
    """In one event loop, over one connection. If the server is unavailable, all who wait get the error: nobody waits
    longer than it takes to connect and to answer one command."""

    def __init__(self, client: Any, deadline: float) -> None:
        super().__init__(client)
        self._pool = client.connection_pool
        self._deadline = deadline
        self._pipe: Pipe | None = None
        self._opening: asyncio.Task[Pipe] | None = None

    async def ask(self, *command: Any) -> Any:
        return await self.send(packed(command))

    async def send(self, command: bytes) -> Any:
        """As `ask`, for a command in wire format."""
        pipe = self._pipe
        if pipe is None or not pipe.open or pipe.rested(FRESH):
            pipe = await self._opened()
        return await pipe.ask(command)

    async def close(self) -> None:
        if self._pipe is not None:
            await self._retire(self._pipe)
            self._pipe = None
        await super().close()

    def leave(self) -> None:
        if self._pipe is not None:
            self._pipe.leave()

    async def _opened(self) -> Pipe:
        """An open pipe, shared by all who need it at the same time. It goes on opening if one of them gives up."""
        if self._opening is None:
            self._opening = asyncio.get_running_loop().create_task(self._open())
            self._opening.add_done_callback(self._is_open)
        return await asyncio.shield(self._opening)

    def _is_open(self, task: asyncio.Task[Pipe]) -> None:
        self._opening = None
        if not task.cancelled():
            # Those who still wait get the error from the task.
            task.exception()

    async def _open(self) -> Pipe:
        if (pipe := self._pipe) is not None:
            # What the server did meanwhile only arrives after a turn of the event loop.
            for _ in range(2):
                await asyncio.sleep(0)
            if pipe.open:
                return pipe
            self._pipe = None
            await self._retire(pipe)
        connection = await self._pool.get_connection()
        self._pipe = Pipe(connection, lambda message: _refused(connection, message), self._deadline)
        return self._pipe

    async def _retire(self, pipe: Pipe) -> None:
        pipe.end(ConnectionError("the connection was closed"))
        await pipe.connection.disconnect(nowait=True)
        await self._pool.release(pipe.connection)
