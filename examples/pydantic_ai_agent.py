"""An agent with pydantic-ai (`pip install "pydantic-ai-slim[openai]"`): `python examples/pydantic_ai_agent.py`.

OPENAI_API_KEY, OPENAI_BASE_URL (any compatible end point) and OPENAI_MODEL name the model. SERVERS is a configuration
file with your own MCP servers; without it there is a small library. pydantic-ai runs the calls of one message side by
side; all that is ours is `as_tool`, and the gateway's instructions.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from pydantic_ai import Agent
from pydantic_ai import Tool as AgentTool
from pydantic_ai.models.openai import OpenAIChatModel

from asyncfc_mcp import Gateway, Tool

LIBRARY = {"command": sys.executable, "args": [Path(__file__).with_name("library.py")], "asyncfc": {"prefix": ""}}
SERVERS = os.environ.get("SERVERS") or {"mcpServers": {"library": LIBRARY}}


def as_tool(gateway: Gateway, tool: Tool) -> AgentTool[object]:
    async def call(**arguments: Any) -> str:
        result = await gateway.model_call(tool.name, arguments)
        print(f"  {tool.name}({json.dumps(arguments)})\n    -> {result.text}")
        return result.text

    return AgentTool[object].from_schema(call, tool.name, tool.description, tool.input_schema)


async def run(question: str) -> None:
    started_at = time.monotonic()
    async with Gateway(SERVERS) as gateway:
        agent = Agent(
            OpenAIChatModel(os.environ["OPENAI_MODEL"]),
            instructions=await gateway.instructions(),
            tools=[as_tool(gateway, tool) for tool in await gateway.tools()],
        )
        answer = await agent.run(question)
    print(f"{time.monotonic() - started_at:.1f} s: the model answers\n  {answer.output}")


if __name__ == "__main__":
    asyncio.run(run(" ".join(sys.argv[1:]) or "What do the papers on futures say? Keep a note of it."))
