"""What a gateway in front of an MCP server costs a call over standard streams."""
