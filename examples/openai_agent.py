"""An agent with the OpenAI SDK (`pip install openai`): `python examples/openai_agent.py [QUESTION]`.

OPENAI_API_KEY, OPENAI_BASE_URL (any compatible end point) and OPENAI_MODEL name the model. SERVERS is a configuration
file with your own MCP servers; without it there is a small library. All that the loop does for futures: it gives the
model the gateway's instructions, and answers the calls of one message side by side.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path

from openai import AsyncOpenAI
from openai.types.chat import (
    ChatCompletionFunctionToolParam,
    ChatCompletionMessageFunctionToolCall,
    ChatCompletionMessageParam,
    ChatCompletionToolMessageParam,
)

from asyncfc_mcp import Gateway, Tool

LIBRARY = {"command": sys.executable, "args": [Path(__file__).with_name("library.py")], "asyncfc": {"prefix": ""}}
SERVERS = os.environ.get("SERVERS") or {"mcpServers": {"library": LIBRARY}}


def as_function(tool: Tool) -> ChatCompletionFunctionToolParam:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.input_schema}
    return {"type": "function", "function": function}  # pyright: ignore[reportReturnType]


async def answer(gateway: Gateway, call: ChatCompletionMessageFunctionToolCall) -> ChatCompletionToolMessageParam:
    result = await gateway.model_call(call.function.name, json.loads(call.function.arguments))
    print(f"  {call.function.name}({call.function.arguments})\n    -> {result.text}")
    return {"role": "tool", "tool_call_id": call.id, "content": result.text}


async def run(question: str) -> None:
    model, started_at = AsyncOpenAI(), time.monotonic()
    async with Gateway(SERVERS) as gateway:
        tools = [as_function(tool) for tool in await gateway.tools()]
        messages: list[ChatCompletionMessageParam] = [
            {"role": "system", "content": await gateway.instructions()},
            {"role": "user", "content": question},
        ]
        while True:
            completion = await model.chat.completions.create(
                model=os.environ["OPENAI_MODEL"], messages=messages, tools=tools
            )
            said = completion.choices[0].message
            messages.append(said.to_dict())  # pyright: ignore[reportArgumentType]
            calls = [call for call in said.tool_calls or () if call.type == "function"]
            if not calls:
                break
            print(f"{time.monotonic() - started_at:.1f} s: the model makes {len(calls)} call(s)")
            messages += await asyncio.gather(*(answer(gateway, call) for call in calls))
    print(f"{time.monotonic() - started_at:.1f} s: the model answers\n  {said.content}")


if __name__ == "__main__":
    asyncio.run(run(" ".join(sys.argv[1:]) or "What do the papers on futures say? Keep a note of it."))
