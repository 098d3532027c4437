"""The tools that the scenarios of the Tasks extension call, in a server that knows no tasks: they just take time."""

from __future__ import annotations

from typing import Any

import anyio
from mcp.server import Server
from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR

from tests.conformance.servers.table import (
    NUMBER,
    STRING,
    Call,
    Json,
    Table,
    asks,
    content,
    form,
    question,
    serve,
    text,
    words,
)

WORK_S = 1.0
"""How long a slow tool works before it has anything to say: the scenarios want a task by then."""

tools = Table()


@tools.tool("greet", "Says hello at once.", form(name=STRING))
async def greet(call: Call) -> Json:
    return text(f"Hello, {call.arguments['name']}!")


@tools.tool("slow_compute", "Computes for some seconds.", form(seconds=NUMBER, label=STRING))
async def slow_compute(call: Call) -> Json:
    await anyio.sleep(call.arguments["seconds"])
    return text(f"Computed {call.arguments['label']}.")


@tools.tool("failing_job", "Works for a while, then fails.")
async def failing_job(call: Call) -> Json:
    await anyio.sleep(WORK_S)
    return content(words("The job failed."), isError=True)


@tools.tool("protocol_error_job", "Works for a while, then the request is refused.")
async def protocol_error_job(call: Call) -> Json:
    await anyio.sleep(WORK_S)
    raise MCPError(INTERNAL_ERROR, "The job broke down")


@tools.tool("confirm_delete", "Works for a while, then asks before it deletes.", form(filename=STRING))
async def confirm_delete(call: Call) -> Json:
    agreed = call.answered("confirm", "confirm")
    if agreed is None:
        await anyio.sleep(WORK_S)
        return asks(confirm=question(f"Delete {call.arguments['filename']}?", confirm={"type": "boolean"}))
    return text("Deleted." if agreed else "Kept.")


@tools.tool("multi_input", "Works for a while, then asks two things at once.")
async def multi_input(call: Call) -> Json:
    names = [call.answered(key, "name") for key in ("first", "second")]
    if None in names:
        await anyio.sleep(WORK_S)
        return asks(first=question("The first name?", name=STRING), second=question("The second name?", name=STRING))
    return text(f"Heard {names[0]} and {names[1]}.")


@tools.tool("test_tool_with_task", "Asks for a name at once, then works for a while.")
async def ask_then_work(call: Call) -> Json:
    name = call.answered("user_name", "name")
    if name is None:
        return asks(user_name=question("What is your name?", name=STRING))
    await anyio.sleep(4 * WORK_S)  # longer than its inline wait
    return text(f"Worked for {name}.")


def plain() -> Server[Any]:
    server: Server[Any] = Server("conformance-plain", version="1")
    tools.add_to(server)
    return server


if __name__ == "__main__":
    serve(plain())
