"""Servers that the gateway starts: they end with it, whether they want to or not."""

from __future__ import annotations

import time
from pathlib import Path

import anyio
import pytest
from mcp.client.stdio import StdioServerParameters

from policyengine.mcp import child_process as module
from policyengine.mcp import message_streams


def is_there(pid: int) -> bool:
    try:
        # Who is dead and not yet buried answers as well.
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False


@pytest.mark.parametrize("backend", [True, False])
def test_a_server_that_does_not_end_is_made_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: bool) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.2)
    said = tmp_path / "pids"
    # It reads nothing, does not listen, has a child of its own, and goes on talking.
    script = f'trap "" TERM; sleep 60 & echo $$ $! > {said}; while :; do echo "{{}}"; done'

    async def steps() -> Exception:
        async with module.child(StdioServerParameters(command="sh", args=["-c", script])) as (reading, _):
            return await reading.receive()

    with anyio.from_thread.start_blocking_portal("asyncio", {"use_uvloop": backend}) as portal:
        heard = portal.call(steps)
    assert isinstance(heard, ValueError)
    pids = [int(pid) for pid in said.read_text().split()]
    # What is killed is gone a moment later.
    for _ in range(100):
        if not any(map(is_there, pids)):
            break
        time.sleep(0.02)
    assert [pid for pid in pids if is_there(pid)] == []


def test_a_line_that_does_not_end_is_the_end_of_what_a_server_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(message_streams, "LONGEST_MESSAGE", 1 << 20)
    script = "echo '{}'; tr '\\0' x < /dev/zero"

    async def steps() -> tuple[object, object]:
        async with module.child(StdioServerParameters(command="sh", args=["-c", script])) as (reading, _):
            first = await reading.receive()
            with anyio.fail_after(10), pytest.raises(anyio.EndOfStream):
                await reading.receive()
            return first, reading.lines._rest

    first, rest = anyio.run(steps)
    assert isinstance(first, ValueError)
    assert rest == []


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_lines_are_the_same_however_they_come(size: int) -> None:
    text = b"one\n\ntwo and more\nthr\xc3\xa9e\nrest"
    lines = message_streams.MessageLines()
    for at in range(0, len(text), size):
        lines.add(text[at : at + size])
    assert [lines.take() for _ in range(len(lines))] == text.split(b"\n")[:-1]


def test_a_command_that_is_not_there_is_an_error() -> None:
    async def steps() -> None:
        async with module.child(StdioServerParameters(command="/nowhere/at/all")):
            raise AssertionError("it cannot run")

    with pytest.raises(OSError):  # noqa: PT011
        anyio.run(steps)
