"""The small MCP servers of the demonstration; each runs as `python -m asyncfc_mcp.demo.servers.NAME`."""
