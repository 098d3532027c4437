"""An MCP gateway that gives any MCP assistant asynchronous function calling."""

__version__ = "0.1.0"
