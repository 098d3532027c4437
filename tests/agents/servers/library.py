"""The library of the examples, whose papers can only be read two at a time: proof that calls overlap.

Each reading waits for the other one, and fails when that does not come.
"""

from __future__ import annotations

import anyio
from mcp.server import MCPServer
from mcp_types import ToolAnnotations

PATIENCE_S = 20
READS_ONLY = ToolAnnotations(read_only_hint=True)
server = MCPServer("library", log_level="WARNING")
readers: list[anyio.Event] = []


@server.tool(annotations=READS_ONLY)
async def search_papers(topic: str) -> list[dict[str, str]]:
    """Finds papers on a topic, best first."""
    return [{"id": "p1", "title": f"{topic}, an overview"}, {"id": "p2", "title": f"{topic} in practice"}]


@server.tool(annotations=READS_ONLY)
async def read_paper(paper_id: str) -> str:
    """Gives the text of a paper."""
    here = anyio.Event()
    readers.append(here)
    if len(readers) == 2:
        for reader in readers:
            reader.set()
    with anyio.fail_after(PATIENCE_S):
        await here.wait()
    return f"This is the text of {paper_id}."


@server.tool()
async def save_note(text: str) -> str:
    """Keeps a note."""
    return f"Saved: {text}"


if __name__ == "__main__":
    server.run()
