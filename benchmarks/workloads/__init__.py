"""The programs that the gateway is measured on, each with its own MCP servers; start at `catalog`."""
