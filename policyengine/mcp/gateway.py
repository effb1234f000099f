"""An MCP server that asks the gate, with other servers behind it.

It answers tools, resources, prompts and completions. Each call is decided on its final arguments, whatever was listed
before. A list depends on the policies and on the caller, and on nothing else that the session did. A client that
subscribes to a resource, or sets the level of a log, is notified. A call may continue as a task. No other method
exists. If the policies or a server are unavailable, nothing is listed and nothing runs.

Other methods are decided like tools, under the name of the method, which no tool can have: `call on
Tool::"resources/read"` and `Tool::"resources/subscribe"` with `uri` (and so is each resource that is listened to),
`Tool::"prompts/get"` with `name` and `arguments`, `Tool::"completion/complete"` with `ref`, `argument` and `context`,
`Tool::"logging/setLevel"` with `level`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import mcp_types as types
from mcp.server.lowlevel import NotificationOptions, Server

from policyengine.mcp.approving import Approving
from policyengine.mcp.authorizing import Authorizing
from policyengine.mcp.changes import Changes
from policyengine.mcp.gating import Gating, Sessions
from policyengine.mcp.kept_tasks import KeptTasks
from policyengine.mcp.resources_and_prompts import SET_LEVEL, ResourcesAndPrompts
from policyengine.mcp.task_extension import TaskExtension
from policyengine.mcp.tasks import CAPABILITY, Tasks
from policyengine.mcp.tools import KnownTools, Tools
from policyengine.mcp.upstream import Upstream
from policyengine.version import VERSION


class _Announcing(Server[Any]):
    """A server that says to clients of every revision that it tells them of lists that change, and that it has tasks to
    those of the revision that knows them."""

    def create_initialization_options(self, notification_options: Any = None, *given: Any, **named: Any) -> Any:
        changes = notification_options or NotificationOptions(True, True, True)
        options = super().create_initialization_options(changes, *given, **named)
        options.capabilities.tasks = CAPABILITY
        return options


class Gateway:
    """Clients' view of the servers behind. `sessions` has the session of a request, `pins` are the digests of tools as
    they were approved; None where nobody pins them. With `shared` several clients may ask the servers behind. With
    `limits` tools are listed with the limits of their arguments."""

    def __init__(
        self,
        sessions: Sessions,
        upstreams: Sequence[Upstream],
        pins: Mapping[str, str] | None = None,
        approving: Approving | None = None,
        changes: Changes | None = None,
        authorizing: Authorizing | None = None,
        shared: bool = False,
        limits: bool = False,
    ) -> None:
        heard = changes if changes is not None else Changes()
        gating = Gating(sessions, approving, authorizing)
        known = KnownTools(upstreams, pins)
        # A tool whose server says that it changed is read again: what was pinned is what it had been.
        heard.forget = known.forget
        self._authorizing = authorizing
        self._tools = Tools(gating, known, heard, limits)
        kept = KeptTasks(gating, self._tools)
        self._extension = TaskExtension(kept, self._tools, heard)
        self._tasks = Tasks(kept, self._tools, heard, self._extension)
        self._others = ResourcesAndPrompts(gating, upstreams, heard, shared)

    def server(self) -> Server[Any]:
        tools, others = self._tools, self._others
        server = _Announcing(
            "policyengine",
            version=VERSION,
            on_list_tools=tools.listing,
            on_call_tool=self._extension.call,
            on_list_resources=others.resources,
            on_list_resource_templates=others.templates,
            on_read_resource=others.read,
            on_list_prompts=others.prompts,
            on_get_prompt=others.prompt,
            on_completion=others.complete,
            on_subscribe_resource=others.subscribe,
            on_unsubscribe_resource=others.unsubscribe,
            on_subscriptions_listen=others.listen,
        )
        server.add_request_handler(SET_LEVEL, types.SetLevelRequestParams, others.set_level)
        if self._authorizing is not None:
            server.middleware.append(self._authorizing)
        self._tasks.serve(server)
        return server
