"""A gateway in front of MCP servers: nothing runs behind it that the policies do not allow.

In: a client's `tools/list` and `tools/call`. Out: the tools that could be allowed, and the results of those calls that
were, each decided by a session of the gate (`policyengine.gate`). What the gateway does not know, a method, a tool, a
tool that changed, is not there.

| file | job |
|---|---|
| `gateway.py` | an MCP server that asks the gate, with other servers behind it |
| `upstream.py` | the servers behind it, and the tools that they have |
| `pins.py` | what tools looked like when somebody last looked |
| `results.py` | a tool's result as the gate sees it, and back |
"""
