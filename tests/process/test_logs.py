"""What the process says on stderr: one JSON object a line, and never a secret."""

from __future__ import annotations

import json
from pathlib import Path

import anyio
import pytest

from tests.harness import toy
from tests.process.support import RawGateway, started

pytestmark = pytest.mark.anyio

SECRET = "hush-5f1c9"
CLOSED_PORT = "http://127.0.0.1:9"


async def test_each_line_is_a_json_object_with_its_event_level_and_time(tmp_path: Path) -> None:
    async with started(tmp_path, {"toy": toy()}, "--log-level", "debug") as gateway:
        await gateway.initialize()
        await gateway.text("echo", text="hi")
        gateway.close_stdin()
        await gateway.exit_code()
        lines = [json.loads(line) for line in (await gateway.stderr()).splitlines()]
    assert all({"event", "level", "timestamp"} <= line.keys() for line in lines)
    assert {"starting", "server_ready", "future_moved", "future_settled", "stopped"} <= {
        line["event"] for line in lines
    }


async def test_one_line_says_how_a_future_settled(tmp_path: Path) -> None:
    async with started(tmp_path, {"toy": toy()}) as gateway:
        await gateway.initialize()
        await gateway.text("fail", message="no")
        line = await gateway.logged("future_settled")
    assert line["token"].startswith("fut_fail_")
    assert (line["tool"], line["server"], line["scope"]) == ("fail", "toy", "local")
    assert (line["state"], line["why"]) == ("failed", "tool_error")
    assert line["waited_s"] >= 0
    assert line["ran_s"] >= 0


async def test_no_secret_of_any_kind_is_logged_even_at_debug(tmp_path: Path) -> None:
    away = {
        "http": {"url": f"{CLOSED_PORT}/{SECRET}/mcp?key={SECRET}", "headers": {"Authorization": f"Bearer {SECRET}"}},
        "sse": {"url": f"{CLOSED_PORT}/sse?key={SECRET}", "type": "sse", "headers": {"X-Key": SECRET}},
    }
    own = toy() | {"env": {"TOY_KEY": SECRET, "OTHER": "${OUTER_KEY}"}}
    async with started(
        tmp_path, {"toy": own, **away}, "--log-level", "debug", environment={"OUTER_KEY": SECRET}
    ) as gateway:
        await gateway.initialize()
        await gateway.logged("server_start_failed")
        await _say_secrets(gateway)
        gateway.close_stdin()
        await gateway.exit_code()
        log = await gateway.stderr()
    assert "future_settled" in log
    assert [line for line in log.splitlines() if SECRET in line] == []


async def _say_secrets(gateway: RawGateway) -> None:
    assert await gateway.text("echo", text=SECRET) == SECRET
    await gateway.text("fail", message=SECRET)
    await gateway.call("reject", message=SECRET)
    await gateway.text("echo", text=SECRET, _as="kept")
    await gateway.text("add", a="fut_kept", b=1)
    await gateway.text("get_future", future=f"fut_kept/{SECRET}")
    await gateway.text("echo", text=f"fut_unknown/{SECRET}")
    await gateway.text("echo", text="hi", _as=f"{SECRET} is no name")
    await gateway.text("echo", text="hi", _wait_s=SECRET)
    await gateway.text("cancel_future", futures=["fut_kept"], reason=SECRET)
    await gateway.call("echo", text="hi", unexpected=SECRET, _wait_s=0)
    await gateway.call(f"no_such_tool_{SECRET}")
    await gateway.request(f"no/such/method/{SECRET}")
    await gateway.request("tools/call", {"name": "echo", "arguments": SECRET})
    await gateway.send_line(f'{{"jsonrpc":"2.0","id":"{SECRET}","method":'.encode())
    await gateway.send_line(json.dumps({"jsonrpc": "2.0", "id": [SECRET], "method": SECRET}).encode())
    await gateway.send({"jsonrpc": "2.0", "method": f"notifications/{SECRET}"})
    with anyio.fail_after(10):
        await gateway.text("echo", text=SECRET)
