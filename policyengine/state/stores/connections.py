"""Commands to a Redis over the connections of redis-py, without what its client does around each command.

In: commands. Out: what each is answered. A connection that was used a moment ago is used again as it is; one that was
not is asked of the pool, which looks whether the server has closed it. In an event loop, commands that are asked at the
same time go together: whoever is alone goes straight, and who comes while others are on their way waits for the next to
leave. `Plainly` and `PlainlyAsync` go through the client, which tells the nodes of a cluster apart.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from time import monotonic
from typing import Any

# For so long after its last answer a connection is not looked at, in seconds.
FRESH = 1.0
# So many groups are on their way at the same time: while the server works on one, this process works on another.
LANES = 2
# So many commands go together at the most.
MOST = 64

Errors = tuple[type[BaseException], ...]
Waiting = tuple[bytes, "asyncio.Future[Any]"]


def packed(command: tuple[Any, ...]) -> bytes:
    """A command as it is sent. Its parts are texts, bytes and whole numbers."""
    parts = [b"*%d\r\n" % len(command)]
    for part in command:
        if type(part) is not bytes:
            part = str(part).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(part), part))
    return b"".join(parts)


class Plainly:
    """Each command by the client."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def ask(self, *command: Any) -> Any:
        return self._client.execute_command(*command)


class Connections(Plainly):
    """From any thread. `refusals` are what a server answers that cannot do what it was asked."""

    def __init__(self, client: Any, refusals: Errors) -> None:
        super().__init__(client)
        self._pool = client.connection_pool
        self._refusals = refusals
        self._free: list[tuple[Any, float]] = []
        self._process = os.getpid()

    def ask(self, *command: Any) -> Any:
        connection = self._take()
        try:
            connection.send_packed_command([packed(command)], check_health=False)
            answer = connection.read_response()
        except self._refusals:
            self._free.append((connection, monotonic()))
            raise
        except BaseException:
            # What was not read yet would be the answer to the next who asks.
            connection.disconnect()
            self._pool.release(connection)
            raise
        self._free.append((connection, monotonic()))
        return answer

    def _take(self) -> Any:
        if self._process != os.getpid():
            # They are the parent's.
            self._free, self._process = [], os.getpid()
        while self._free:
            try:
                connection, used = self._free.pop()
            except IndexError:
                break
            if monotonic() - used < FRESH:
                return connection
            self._pool.release(connection)
        return self._pool.get_connection()


class PlainlyAsync:
    """Each command by the client."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def ask(self, *command: Any) -> Any:
        return await self._client.execute_command(*command)

    async def close(self) -> None:
        await self._client.aclose()


class ConnectionsAsync(PlainlyAsync):
    """In one event loop. What a command raises is raised for whoever asked it. Where the server cannot be asked, that
    is raised for all who went with it and all who wait: nobody waits for longer than one command may take."""

    def __init__(self, client: Any, refusals: Errors) -> None:
        super().__init__(client)
        self._pool = client.connection_pool
        self._refusals = refusals
        self._free: list[tuple[Any, float]] = []
        self._away = 0
        self._waiting: deque[Waiting] = deque()
        # Nobody else holds on to a task.
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(self, *command: Any) -> Any:
        if self._away < LANES:
            self._away += 1
            try:
                [answer] = await self._together([packed(command)])
            except BaseException as error:
                self._fail(error)
                raise
            finally:
                self._back()
            if isinstance(answer, BaseException):
                raise answer
            return answer
        waits: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((packed(command), waits))
        return await waits

    async def close(self) -> None:
        for connection, _ in self._free:
            await self._pool.release(connection)
        self._free.clear()
        await super().close()

    def _fail(self, error: BaseException) -> None:
        if isinstance(error, asyncio.CancelledError):
            # Who gave up is not who waits.
            return
        while self._waiting:
            if not (answer := self._waiting.popleft()[1]).done():
                answer.set_exception(error)

    def _back(self) -> None:
        """One lane is free."""
        self._away -= 1
        # Whoever has given up in the meantime asks for nothing.
        group: list[Waiting] = []
        while self._waiting and len(group) < MOST:
            if not (one := self._waiting.popleft())[1].done():
                group.append(one)
        if group:
            self._away += 1
            task = asyncio.get_running_loop().create_task(self._send(group))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _send(self, group: list[Waiting]) -> None:
        answers: list[Any] = []
        try:
            answers = await self._together([command for command, _ in group])
        except Exception as error:  # noqa: BLE001 - whoever waits is told, whatever it is
            answers = [error] * len(group)
            self._fail(error)
        finally:
            # Without answers the event loop is at its end.
            answers = answers or [ConnectionError("the event loop is closed")] * len(group)
            for (_, waits), answer in zip(group, answers, strict=True):
                if waits.done():
                    continue
                if isinstance(answer, BaseException):
                    waits.set_exception(answer)
                else:
                    waits.set_result(answer)
            self._back()

    async def _together(self, commands: list[bytes]) -> list[Any]:
        """What they are answered; of a refusal, the exception."""
        connection = await self._take()
        answers: list[Any] = []
        try:
            await _written(connection, b"".join(commands))
            for _ in commands:
                try:
                    answers.append(await connection.read_response())
                except self._refusals as refusal:
                    answers.append(refusal)
        except BaseException:
            await connection.disconnect(nowait=True)
            await self._pool.release(connection)
            raise
        self._free.append((connection, monotonic()))
        return answers

    async def _take(self) -> Any:
        while self._free:
            connection, used = self._free.pop()
            if monotonic() - used < FRESH:
                return connection
            await self._pool.release(connection)
        return await self._pool.get_connection()


async def _written(connection: Any, text: bytes) -> None:
    """Sends it. To write is not to wait, so that it takes no task of its own, which costs as much as all the rest: how
    long the answer may take bounds this as well."""
    writer = getattr(connection, "_writer", None)
    if writer is None:
        await connection.send_packed_command([text], check_health=False)
    else:
        writer.write(text)
