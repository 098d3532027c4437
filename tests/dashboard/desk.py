"""A small MCP server for the dashboard's tests and pictures: one tool that fails, one that takes long."""

from __future__ import annotations

import sys

import anyio
from mcp.server import MCPServer

SPEED = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0

desk = MCPServer("desk", log_level="WARNING")


@desk.tool()
async def check_visa(country: str) -> str:
    """Asks the consulate, which does not answer."""
    await anyio.sleep(1.1 / SPEED)
    raise RuntimeError(f"the consulate of {country} does not answer")


@desk.tool()
async def translate(text: str) -> str:
    """Translates a text, slowly."""
    await anyio.sleep(1.9 / SPEED)
    return text[::-1]


if __name__ == "__main__":
    desk.run()
