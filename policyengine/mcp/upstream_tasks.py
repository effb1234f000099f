"""A tool that its server runs as a task only (revision 2025-11-25): begun, asked after, and its result fetched.

To whoever calls the tool it is one call: it is decided before, and its result observed after.
"""

from __future__ import annotations

from typing import Any

import anyio
import mcp_types as types
from mcp import Client
from mcp.shared.exceptions import MCPError

# A server says how often it wants to be asked: so many seconds, at least and at most.
LEAST_PAUSE, LONGEST_PAUSE = 0.05, 5.0
# In which a server may take back a task that nobody waits for any more.
LAST_WORDS = 2.0


def is_needed(tool: types.Tool) -> bool:
    return tool.execution is not None and tool.execution.task_support == "required"


async def awaited(client: Client, name: str, arguments: dict[str, Any], seconds: float) -> types.CallToolResult:
    """Raises MCPError where the server does, where the task wants to ask somebody, and after so many seconds."""
    session = client.session
    data: dict[str, Any] = {"method": "tools/call", "params": {"name": name, "arguments": arguments, "task": {}}}
    options: Any = {}
    # The library knows no such answer to a call, and so it is asked below what it knows.
    session._stamp(data, options)
    options["timeout"] = seconds
    begun = await session._dispatcher.send_raw_request(data["method"], data["params"], options)
    task: types.Task = types.CreateTaskResult.model_validate(begun).task
    try:
        with anyio.fail_after(seconds):
            while task.status == "working":
                pause = (task.poll_interval or 0) / 1000
                await anyio.sleep(min(max(pause, LEAST_PAUSE), LONGEST_PAUSE))
                params = types.GetTaskRequestParams(task_id=task.task_id)
                task = await session.send_request(types.GetTaskRequest(params=params), types.GetTaskResult)
            if task.status == "input_required":
                raise MCPError(types.INTERNAL_ERROR, "it wants to ask somebody, and nobody can be asked here")
            payload = types.GetTaskPayloadRequestParams(task_id=task.task_id)
            return await session.send_request(types.GetTaskPayloadRequest(params=payload), types.CallToolResult)
    except TimeoutError:
        await _taken_back(client, task.task_id)
        raise MCPError(types.REQUEST_TIMEOUT, "it took too long") from None
    except BaseException:
        await _taken_back(client, task.task_id)
        raise


async def _taken_back(client: Client, id_: str) -> None:
    """Also while the call is being cancelled."""
    with anyio.move_on_after(LAST_WORDS, shield=True):
        try:
            params = types.CancelTaskRequestParams(task_id=id_)
            await client.session.send_request(types.CancelTaskRequest(params=params), types.CancelTaskResult)
        except (MCPError, ValueError):
            # It has ended, or its server does not take tasks back.
            return
