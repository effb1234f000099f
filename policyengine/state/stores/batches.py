"""Commands that are asked at the same time, sent together: a connection is used for many at once, and not each for one.

In: commands, as `execute_command` of an asyncio client takes them. Out: what each is answered. Whoever is alone goes
straight; who comes while others are on their way waits for the next to leave, and goes with all who wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

# So many groups are on their way at the same time: while the server works on one, this process works on another.
LANES = 2
# So many commands go together at the most.
MOST = 64

Waiting = tuple[tuple[Any, ...], "asyncio.Future[Any]"]


class Singly:
    """Each command by itself."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def ask(self, *command: Any) -> Any:
        return await self._client.execute_command(*command)

    async def close(self) -> None:
        await self._client.aclose()


class Batches(Singly):
    """The commands of one client, in one event loop. What a command raises is raised for whoever asked it. Where the
    server cannot be asked (`gone`), it is raised for all who went with it and all who wait: nobody waits for longer
    than one command may take."""

    def __init__(self, client: Any, gone: tuple[type[BaseException], ...]) -> None:
        super().__init__(client)
        self._gone = gone
        self._away = 0
        self._waiting: deque[Waiting] = deque()
        # Nobody else holds on to a task.
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(self, *command: Any) -> Any:
        if self._away < LANES:
            self._away += 1
            try:
                return await self._client.execute_command(*command)
            except self._gone as error:
                self._fail(error)
                raise
            finally:
                self._back()
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((command, answer))
        return await answer

    def _fail(self, error: BaseException) -> None:
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
        try:
            answers = await self._together([command for command, _ in group])
        except BaseException as error:
            lost = ConnectionError("cancelled") if isinstance(error, asyncio.CancelledError) else error
            answers = [lost] * len(group)
            self._fail(lost)
            if not isinstance(error, Exception):
                raise
        finally:
            for (_, answer), told in zip(group, answers, strict=True):
                if answer.done():
                    continue
                if isinstance(told, BaseException):
                    answer.set_exception(told)
                else:
                    answer.set_result(told)
            self._back()

    async def _together(self, commands: list[tuple[Any, ...]]) -> list[Any]:
        async with self._client.pipeline(transaction=False) as pipeline:
            for command in commands:
                pipeline.execute_command(*command)
            found: list[Any] = await pipeline.execute(raise_on_error=False)
            return found
