"""What each MCP client allows, and where its files are."""
