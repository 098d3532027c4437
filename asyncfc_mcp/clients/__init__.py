"""What each MCP client allows."""
