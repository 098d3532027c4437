"""The MCP face of the gateway: what clients see, and the one map from exceptions to the wire."""
