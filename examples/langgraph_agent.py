"""An agent with LangGraph (`pip install langgraph langchain-openai`): `python examples/langgraph_agent.py [QUESTION]`.

OPENAI_API_KEY, OPENAI_BASE_URL (any compatible end point) and OPENAI_MODEL name the model. SERVERS is a configuration
file with your own MCP servers; without it there is a small library. LangGraph's `ToolNode` runs the calls of one
message side by side; all that is ours is `as_tool`, and the gateway's instructions in the conversation.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from langchain_core.messages import HumanMessage, SystemMessage
from langchain_core.tools import StructuredTool
from langchain_openai import ChatOpenAI
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition

from asyncfc_mcp import Gateway, Tool

LIBRARY = {"command": sys.executable, "args": [Path(__file__).with_name("library.py")], "asyncfc": {"prefix": ""}}
SERVERS = os.environ.get("SERVERS") or {"mcpServers": {"library": LIBRARY}}


def as_tool(gateway: Gateway, tool: Tool) -> StructuredTool:
    async def call(**arguments: Any) -> str:
        result = await gateway.model_call(tool.name, arguments)
        print(f"  {tool.name}({json.dumps(arguments)})\n    -> {result.text}")
        return result.text

    return StructuredTool(
        name=tool.name, description=tool.description, args_schema=tool.input_schema, coroutine=call, func=None
    )


async def run(question: str) -> None:
    started_at = time.monotonic()
    async with Gateway(SERVERS) as gateway:
        tools = [as_tool(gateway, tool) for tool in await gateway.tools()]
        model = ChatOpenAI(model=os.environ["OPENAI_MODEL"]).bind_tools(tools)

        async def think(state: MessagesState) -> dict[str, Any]:
            said = await model.ainvoke(state["messages"])
            print(f"{time.monotonic() - started_at:.1f} s: the model makes {len(said.tool_calls)} call(s)")
            return {"messages": [said]}

        graph = StateGraph(MessagesState)
        graph.add_node("think", think)
        graph.add_node("tools", ToolNode(tools))
        graph.add_edge(START, "think")
        graph.add_conditional_edges("think", tools_condition)
        graph.add_edge("tools", "think")
        asked = MessagesState(messages=[SystemMessage(await gateway.instructions()), HumanMessage(question)])
        state = await graph.compile().ainvoke(asked)
    print(f"{time.monotonic() - started_at:.1f} s: the model answers\n  {state['messages'][-1].content}")


if __name__ == "__main__":
    asyncio.run(run(" ".join(sys.argv[1:]) or "What do the papers on futures say? Keep a note of it."))
