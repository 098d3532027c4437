"""A small MCP server with slow tools, for agent.py: it finds papers, reads them, and keeps a note."""

from __future__ import annotations

import anyio
from mcp.server import MCPServer
from mcp_types import ToolAnnotations

server = MCPServer("library", log_level="WARNING")
READS_ONLY = ToolAnnotations(read_only_hint=True)


@server.tool(annotations=READS_ONLY)
async def search_papers(topic: str) -> list[dict[str, str]]:
    """Finds papers on a topic, best first."""
    await anyio.sleep(1.5)
    return [{"id": "p1", "title": f"{topic}, an overview"}, {"id": "p2", "title": f"{topic} in practice"}]


@server.tool(annotations=READS_ONLY)
async def read_paper(paper_id: str) -> str:
    """Gives the text of a paper."""
    await anyio.sleep(1.5)
    return f"This is the text of {paper_id}."


@server.tool()
async def save_note(text: str) -> str:
    """Keeps a note."""
    await anyio.sleep(0.5)
    return f"Saved: {text}"


if __name__ == "__main__":
    server.run()
