"""What a client sees of the real process: kept lists at once, and nothing on stdout but JSON-RPC."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.harness import toy
from tests.process.support import LIMIT_S, started, text_of

pytestmark = pytest.mark.anyio

GATED = Path(__file__).parent / "servers" / "gated.py"
PRINTS = """
import os, subprocess, threading, time
def intrude():
    while not os.path.samestat(os.fstat(1), os.fstat(2)):
        time.sleep(0.005)
    print("RUBBISH from print")
    os.write(1, b"RUBBISH from a library in C\\n")
    subprocess.run(["echo", "RUBBISH from a child"])
    open(os.environ["INTRUDED"], "w").close()
threading.Thread(target=intrude, daemon=True).start()
"""


def gated(gate: Path) -> dict[str, Any]:
    return {"command": sys.executable, "args": [str(GATED), str(gate)], "asyncfc": {"prefix": ""}}


async def test_kept_lists_are_served_before_their_server_is_up(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    async with started(tmp_path, {"gated": gated(gate)}) as gateway:
        await gateway.initialize()
        listed = await gateway.request("tools/list")
    gate.touch()
    async with started(tmp_path, {"gated": gated(gate)}) as gateway:
        await gateway.initialize()
        assert (await gateway.request("tools/list"))["result"] == listed["result"]
        assert "connecting" in await gateway.text("list_futures")
        assert gate.exists()


async def test_a_call_of_a_kept_tool_waits_for_its_server(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    async with started(tmp_path, {"gated": gated(gate)}) as gateway:
        await gateway.initialize()
        await gateway.request("tools/list")
    gate.touch()
    async with started(tmp_path, {"gated": gated(gate)}, settings={"inline_wait_s": 0.05}) as gateway:
        await gateway.initialize()
        token = await gateway.token("say")
        gate.unlink()
        assert await gateway.text("await_future", futures=[token]) == "said"


async def test_one_server_that_does_not_start_keeps_no_kept_list_back(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    servers = {"gated": gated(gate), "toy": toy()}
    async with started(tmp_path, servers) as gateway:
        await gateway.initialize()
        listed = await gateway.request("tools/list")
    gate.touch()
    async with started(tmp_path, servers) as gateway:
        await gateway.initialize()
        assert (await gateway.request("tools/list"))["result"] == listed["result"]
        assert (await gateway.text("echo", text="hi", _wait_s=LIMIT_S)).startswith("hi")


async def test_stdout_carries_nothing_but_json_rpc_when_others_print(tmp_path: Path) -> None:
    intruded = tmp_path / "intruded"
    environment = {"INTRUDED": str(intruded), "PYTHONUNBUFFERED": "1"}
    async with started(tmp_path, {"toy": toy()}, environment=environment, prelude=PRINTS) as gateway:
        await gateway.initialize()
        await _until_there(intruded)
        assert await gateway.text("echo", text="hi") == "hi"
        gateway.close_stdin()
        assert await gateway.rest() == []
        await gateway.exit_code()
        assert (await gateway.stderr()).count("RUBBISH") == 3


async def test_what_was_printed_and_not_flushed_does_not_reach_the_client_at_the_end(tmp_path: Path) -> None:
    intruded = tmp_path / "intruded"
    environment = {"INTRUDED": str(intruded), "PYTHONUNBUFFERED": ""}
    async with started(tmp_path, {"toy": toy()}, environment=environment, prelude=PRINTS) as gateway:
        await gateway.initialize()
        await _until_there(intruded)
        gateway.close_stdin()
        lines = await gateway.rest()
    assert lines == []


async def test_every_line_is_one_message_whatever_the_values_hold(tmp_path: Path) -> None:
    async with started(tmp_path, {"toy": toy()}) as gateway:
        await gateway.initialize()
        numbers = [
            await gateway.start_call("echo", {"text": "a\r\nb\u2028c\n{}", "_wait_s": LIMIT_S}) for _ in range(5)
        ]
        answers = [await gateway.answer(number) for number in numbers]
        gateway.close_stdin()
        assert await gateway.rest() == []
    assert {text_of(answer).split("\n")[0] for answer in answers} == {"a\r"}


async def _until_there(file: Path) -> None:
    with anyio.fail_after(LIMIT_S):
        while not file.exists():  # noqa: ASYNC110  nothing tells when a file appears
            await anyio.sleep(0.01)
