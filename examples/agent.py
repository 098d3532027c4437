"""An agent loop over the gateway: `python examples/agent.py [QUESTION]`.

A script stands for the model, unless OPENAI_BASE_URL and OPENAI_MODEL name one. All that a loop does for futures: it
gives the model the gateway's instructions, and sends the calls of one message side by side. To use your own servers,
put `"--config", "/absolute/path.json"` where the library server stands.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import anyio
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp_types import TextContent
from models import Message, chosen_model

LIBRARY = ["--", sys.executable, str(Path(__file__).with_name("library.py"))]
GATEWAY = ["-m", "asyncfc_mcp", "serve", "--log-level", "warning", *LIBRARY]


async def answer(client: Client, call: Message, messages: list[Message]) -> None:
    name, arguments = call["function"]["name"], call["function"]["arguments"]
    result = await client.call_tool(name, json.loads(arguments))
    text = "\n".join(block.text for block in result.content if isinstance(block, TextContent))
    print(f"  {name}({arguments})\n    -> {text}")
    messages.append({"role": "tool", "tool_call_id": call["id"], "content": text})


async def run(question: str) -> None:
    gateway = StdioServerParameters(command=sys.executable, args=GATEWAY)
    async with Client(stdio_client(gateway)) as client:
        tools = (await client.list_tools()).tools
        messages = [{"role": "system", "content": client.instructions}, {"role": "user", "content": question}]
        started_at, model = time.monotonic(), chosen_model(tools)
        while calls := (said := await model(messages)).get("tool_calls"):
            print(f"{time.monotonic() - started_at:.1f} s: the model makes {len(calls)} call(s)")
            messages.append(said)
            async with anyio.create_task_group() as side_by_side:
                for call in calls:
                    side_by_side.start_soon(answer, client, call, messages)
        print(f"{time.monotonic() - started_at:.1f} s: the model answers\n  {said['content']}")


if __name__ == "__main__":
    anyio.run(run, " ".join(sys.argv[1:]) or "What do the papers on futures say? Keep a note of it.")
