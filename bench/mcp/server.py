"""A server with one tool, on standard streams."""

from __future__ import annotations

from mcp.server.mcpserver import MCPServer

server = MCPServer("post")


@server.tool()
def send(to: str, subject: str, body: str) -> dict[str, str]:
    """Send a message."""
    return {"sent": to, "subject": subject, "size": str(len(body))}


if __name__ == "__main__":
    server.run()
