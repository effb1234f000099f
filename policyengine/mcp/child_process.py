"""A server that the gateway starts as a child process: its standard streams, handled on the event loop, and its end.

The library would use a task for each direction and hand every message from one to the other. The child is first asked
to end, by the end of its input; then told to; and then killed, with everything that it has started.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
from anyio.abc import ByteReceiveStream, ByteSendStream, Process
from mcp.client.stdio import StdioServerParameters, get_default_environment, stdio_client
from mcp.shared.message import SessionMessage

from policyengine.mcp.message_streams import LONGEST_MESSAGE, IncomingMessages, MessageStream, MessageTooLong, written

log = logging.getLogger(__name__)

# For so many seconds it is waited, for each of the ways to end a server.
PATIENCE, LOOKS = 2.0, 0.02
_GONE = (anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError, OSError)


class FromChild(IncomingMessages):
    """What a server says."""

    def __init__(self, stream: ByteReceiveStream) -> None:
        super().__init__()
        self._stream = stream

    async def more(self) -> None:
        try:
            self.lines.add(await self._stream.receive())
        except MessageTooLong:
            log.warning(
                "a server sent more than %d bytes as one message, and is listened to no longer", LONGEST_MESSAGE
            )
            raise anyio.EndOfStream from None
        except _GONE:
            raise anyio.EndOfStream from None

    async def aclose(self) -> None:
        """The process is ended by whoever started it."""


class ToChild(MessageStream):
    """What is said to a server."""

    def __init__(self, stream: ByteSendStream) -> None:
        self._stream = stream

    async def send(self, item: SessionMessage) -> None:
        try:
            await self._stream.send(written(item))
        except OSError:
            raise anyio.BrokenResourceError from None

    async def aclose(self) -> None:
        """The process is ended by whoever started it."""


@asynccontextmanager
async def child(server: StdioServerParameters) -> AsyncIterator[tuple[Any, Any]]:
    """The streams of a server, while it runs. Raises OSError where it cannot be started."""
    if sys.platform == "win32":
        async with stdio_client(server) as streams:
            yield streams
        return
    process = await anyio.open_process(
        [server.command, *server.args],
        env=get_default_environment() | (server.env or {}),
        stderr=None,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        yield FromChild(process.stdout), ToChild(process.stdin)
    finally:
        with anyio.CancelScope(shield=True):
            async with anyio.create_task_group() as tasks:
                # Who cannot write on does not read on either, and would not see that its input has ended.
                tasks.start_soon(_heard, process.stdout)
                await _ended(process)
                tasks.cancel_scope.cancel()
            with suppress(*_GONE):
                await process.stdout.aclose()


async def _heard(stream: ByteReceiveStream) -> None:
    with suppress(*_GONE):
        while True:
            await stream.receive()


async def _ended(process: Process) -> None:
    assert process.stdin is not None
    with suppress(*_GONE):
        await process.stdin.aclose()
    for way in (signal.SIGTERM, signal.SIGKILL, None):
        with anyio.move_on_after(PATIENCE):
            while process.returncode is None:
                await anyio.sleep(LOOKS)
        if process.returncode is not None or way is None:
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, way)
