"""What exists: declarations to schema, the built-in `ai` schema, and the import of tool definitions."""
