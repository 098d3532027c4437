"""One fault on HTTP costs one call, and not those beside it."""

from __future__ import annotations

import signal
import sys
from contextlib import suppress
from pathlib import Path

import anyio
import pytest

from asyncfc_mcp.downstream.outcome import DownstreamLost
from tests.downstream.support import ERAS_HTTP, connected, eras_over_http, free_port, listening
from tests.downstream.test_modern_servers import MODERN, remote

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("server", ["legacy", "modern"])
async def test_a_body_that_breaks_off_costs_one_call_and_not_the_connection(server: str) -> None:
    async def wait_beside() -> None:
        assert (await connection.call_tool("slow", {"seconds": 0.5})).text == "slow"

    with anyio.fail_after(30):
        async with eras_over_http(server) as there, connected(there) as connection:
            await connection.call_tool("seen", {})
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(wait_beside)
                with pytest.raises(DownstreamLost, match="may have taken effect"):
                    await connection.call_tool("break_off", {})
            assert connection.era == server
            assert connection.status.attempts == 0


@pytest.mark.skipif(sys.platform == "win32", reason="there is no way to ask a process to end there")
# Not the SDK's legacy server: its event streams end as the process is asked to, answered or not.
@pytest.mark.parametrize(("program", "kind"), [(MODERN, "http"), (ERAS_HTTP, "legacy")])
async def test_a_graceful_restart_drops_no_call_that_is_being_answered(
    program: Path, kind: str, tmp_path: Path
) -> None:
    port = free_port()
    path = tmp_path / "go"
    answers: list[str | None] = []

    async def call(tool: str, **arguments: str) -> None:
        answers.append((await connection.call_tool(tool, arguments)).text)

    async def refuses() -> bool:
        try:
            await (await anyio.connect_tcp("127.0.0.1", port)).aclose()
        except OSError:
            return True
        return False

    async def is_held_back() -> bool:
        with anyio.move_on_after(0.5) as trying, suppress(DownstreamLost):
            await connection.call_tool("echo", {"text": "too early"})
        return trying.cancelled_caught

    with anyio.fail_after(60):
        async with connected(remote("http", port)) as connection:
            async with listening(str(program), kind, str(port)) as old, anyio.create_task_group() as tasks:
                tasks.start_soon(lambda: call("wait_for_file", path=str(path)))
                while not Path(f"{path}.waiting").exists():
                    await anyio.lowlevel.checkpoint()
                old.send_signal(signal.SIGTERM)
                while not await refuses():
                    await anyio.lowlevel.checkpoint()
                # Refused for as long as we let it try, beside the one that is being answered; a connection that was
                # open before may be good for one more answer, or be closed in the moment in which it is used.
                while not await is_held_back():
                    pass
                path.touch()
            async with listening(str(program), kind, str(port)):
                await call("echo", text="new")
    assert answers == ["found", "new"]
