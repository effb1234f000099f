"""Text to tree and back. The only room that imports lark."""
