"""The gateway itself, usable without an MCP server: submit calls, await futures, deliver results."""
