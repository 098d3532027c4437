"""What must hold after every bad input: nothing was lost, and nothing is stuck."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from mcp_types import CallToolResult

from tests.downstream.support import ODD
from tests.harness import FREE, GatewayClient, text_of, toy
from tests.process.support import RawGateway

_TOKEN = re.compile(r"\bfut_\w+")

CROOKED = Path(__file__).parent / "servers" / "crooked.py"

PUSHY = Path(__file__).parent / "servers" / "pushy.py"
PUSHY_TOOLS = (
    "emit",
    "rounds",
    "flood",
    "ask_many",
    "heard",
    "never",
    "brief",
    "drop_tool",
    "ask_when_cancelled",
    "release",
)


def free_toy(**settings: Any) -> dict[str, Any]:
    """A toy whose calls conflict with nothing."""
    names = ("echo", "hold", "add", "large", "fail", "list_arguments", "record", "picture", "sleep")
    return toy(tools=dict.fromkeys(names, FREE), **settings)


def odd(mode: str = "plain", **settings: Any) -> dict[str, Any]:
    """A server that misbehaves as its mode says."""
    return {"command": sys.executable, "args": [str(ODD), mode], "asyncfc": {"prefix": "odd", **settings}}


def crooked(listed: str | None = None, **settings: Any) -> dict[str, Any]:
    """A server that lists and answers the JSON texts that it is given."""
    arguments = [str(CROOKED), *([listed] if listed is not None else [])]
    return {"command": sys.executable, "args": arguments, "asyncfc": {"prefix": "crooked", **settings}}


def pushy(era: str = "legacy", **settings: Any) -> dict[str, Any]:
    """A server that says whatever it is told to; its calls conflict with nothing."""
    tools = dict.fromkeys(PUSHY_TOOLS, FREE)
    return {"command": sys.executable, "args": [str(PUSHY), era], "asyncfc": {"tools": tools, **settings}}


def nested(levels: int) -> str:
    """The JSON of an object so deep."""
    return '{"a":' * levels + "1" + "}" * levels


def error_of(result: CallToolResult) -> str:
    """The text of a result that is an error."""
    assert result.is_error, text_of(result)
    return text_of(result)


async def assert_unharmed(gateway: GatewayClient) -> None:
    """An ordinary call works, and no future stays unsettled."""
    token = await gateway.named("echo", text="still here")
    assert (await gateway.text("get_future", future=token)).endswith("still here")
    await assert_all_settle(gateway)
    assert gateway.app.gateway.pool.statuses()["toy"].message is None


async def assert_process_unharmed(gateway: RawGateway, tool: str = "echo") -> None:
    """The same, of a process."""
    assert "still here" in await gateway.text(tool, text="still here", _wait_s=10)
    await assert_all_settle(gateway)


async def assert_all_settle(gateway: GatewayClient | RawGateway) -> None:
    """No future stays unsettled; one that was let go just now may need a moment."""
    left = _TOKEN.findall(await gateway.text("list_futures", state="unsettled"))
    if left:
        await gateway.text("await_future", futures=left)
    assert (await gateway.text("list_futures", state="unsettled")).startswith("No futures.")


async def held(gateway: GatewayClient) -> str:
    return await gateway.token("hold", key="a", _wait_s=0)


async def let_go(gateway: GatewayClient, token: str) -> None:
    await gateway.call("release", key="a")
    assert await gateway.value(token) == "held a"
