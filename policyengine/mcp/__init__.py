"""A gateway in front of MCP servers: nothing runs behind it that the policies do not allow.

In: what a client asks of tools, resources and prompts. Out: those that could be allowed, and the results of those calls
that were, each decided by a session of the gate (`policyengine.gate`). What the gateway does not know, a method, a
tool, a tool that changed, is not there.

| file | job |
|---|---|
| `gateway.py` | an MCP server that asks the gate, with other servers behind it |
| `gating.py` | what every method asks of the gate |
| `tools.py`, `resources_and_prompts.py` | tools and calls of them; everything that is not a tool |
| `serving.py`, `standard_streams.py` | serving clients, over standard streams or HTTP |
| `message_streams.py` | messages over pipes, one a line |
| `http_middleware.py`, `callers.py` | over HTTP: who may come in, and whose session a request belongs to |
| `failed_attempts.py` | tokens that are not accepted: counted, told, and told to wait |
| `authorizing.py`, `decision_point.py` | what COAZ decides beside the gate, in process or at a decision point |
| `coaz.py`, `defaults.py`, `cel_expressions.py` | the binding: a message to an AuthZEN request |
| `sessions.py` | the gate's session of a client |
| `targets.py`, `child_process.py` | the servers behind it: commands, URLs, a client's `mcp.json`; child processes |
| `upstream.py`, `upstream_tasks.py` | what they have: tools, resources, prompts; calls that go on there |
| `tasks.py`, `task_extension.py`, `kept_tasks.py` | calls that go on after they were answered, in either revision |
| `own_tasks.py`, `methods.py` | for servers of one's own: their tasks, and what becomes of each method |
| `approving.py` | calls that need a person |
| `changes.py` | word of lists that changed |
| `pins.py` | what tools looked like when somebody last looked |
| `results.py` | a tool's result as the gate sees it, and back |
"""
