"""An agent with the Anthropic SDK (`pip install anthropic`): `python examples/anthropic_agent.py [QUESTION]`.

ANTHROPIC_API_KEY, ANTHROPIC_BASE_URL (any compatible end point) and ANTHROPIC_MODEL name the model. SERVERS is a
configuration file with your own MCP servers; without it there is a small library. All that the loop does for futures:
it gives the model the gateway's instructions, and answers the calls of one message side by side.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path

from anthropic import AsyncAnthropic
from anthropic.types import MessageParam, ToolParam, ToolResultBlockParam, ToolUseBlock

from asyncfc_mcp import Gateway

LIBRARY = {"command": sys.executable, "args": [Path(__file__).with_name("library.py")], "asyncfc": {"prefix": ""}}
SERVERS = os.environ.get("SERVERS") or {"mcpServers": {"library": LIBRARY}}


async def answer(gateway: Gateway, call: ToolUseBlock) -> ToolResultBlockParam:
    result = await gateway.model_call(call.name, call.input)
    print(f"  {call.name}({json.dumps(call.input)})\n    -> {result.text}")
    return {"type": "tool_result", "tool_use_id": call.id, "content": result.text, "is_error": result.is_error}


async def run(question: str) -> None:
    model, started_at = AsyncAnthropic(), time.monotonic()
    async with Gateway(SERVERS) as gateway:
        tools: list[ToolParam] = [
            {"name": tool.name, "description": tool.description, "input_schema": tool.input_schema}
            for tool in await gateway.tools()
        ]
        messages: list[MessageParam] = [{"role": "user", "content": question}]
        while True:
            said = await model.messages.create(
                model=os.environ["ANTHROPIC_MODEL"],
                max_tokens=4096,
                system=await gateway.instructions(),
                messages=messages,
                tools=tools,
            )
            messages.append({"role": "assistant", "content": said.content})
            calls = [block for block in said.content if block.type == "tool_use"]
            if not calls:
                break
            print(f"{time.monotonic() - started_at:.1f} s: the model makes {len(calls)} call(s)")
            answers = await asyncio.gather(*(answer(gateway, call) for call in calls))
            messages.append({"role": "user", "content": answers})
    text = "".join(block.text for block in said.content if block.type == "text")
    print(f"{time.monotonic() - started_at:.1f} s: the model answers\n  {text}")


if __name__ == "__main__":
    asyncio.run(run(" ".join(sys.argv[1:]) or "What do the papers on futures say? Keep a note of it."))
