"""Servers at an address that are there and say nothing, or are gone and nothing says so."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.abc
import pytest

from asyncfc_mcp.config.models import RemoteEntry, ServerEntry
from asyncfc_mcp.downstream.links.keep_alive import KeepAlive
from asyncfc_mcp.downstream.outcome import DownstreamLost, DownstreamUnavailable
from asyncfc_mcp.downstream.patience import Patience
from tests.bounds import bound_s
from tests.downstream.support import connected, entry, eras_over_http

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parent.parent.parent


class Proxy:
    """Passes bytes on in both directions, as long as it is asked to."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._open: set[anyio.CancelScope] = set()
        self.flows = anyio.Event()
        self.flows.set()

    @asynccontextmanager
    async def listening(self) -> AsyncGenerator[str]:
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        async with listener, anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, self._serve)
            yield f"http://127.0.0.1:{port}/mcp"
            tasks.cancel_scope.cancel()

    def break_off(self) -> None:
        """Close all connections in the middle of whatever they carry."""
        for scope in self._open:
            scope.cancel()

    async def _serve(self, near: anyio.abc.SocketStream) -> None:
        async with near, await anyio.connect_tcp(*self._target) as far, anyio.create_task_group() as tasks:
            self._open.add(tasks.cancel_scope)
            tasks.start_soon(self._pass_on, near, far)
            await self._pass_on(far, near)
            tasks.cancel_scope.cancel()
            self._open.discard(tasks.cancel_scope)

    async def _pass_on(self, source: anyio.abc.SocketStream, target: anyio.abc.SocketStream) -> None:
        try:
            async for data in source:
                await self.flows.wait()
                await target.send(data)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return


@asynccontextmanager
async def through_a_proxy(kind: str) -> AsyncGenerator[tuple[Proxy, ServerEntry]]:
    async with eras_over_http(kind) as server:
        assert isinstance(server.transport, RemoteEntry)
        host, _, port = server.transport.url.removeprefix("http://").removesuffix("/mcp").partition(":")
        proxy = Proxy((host, int(port)))
        async with proxy.listening() as url:
            yield proxy, entry("far", RemoteEntry(url=url))


async def test_a_server_that_accepts_and_never_answers_fails_its_handshake_and_its_calls() -> None:
    async def swallow(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            await anyio.sleep_forever()

    with anyio.fail_after(20):
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        silent = entry("silent", RemoteEntry(url=f"http://127.0.0.1:{port}/mcp"))
        patience = Patience(breaker_attempts=2, delay_s=lambda attempt: 0.05 if attempt == 1 else 60)
        async with listener, anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, swallow)
            async with connected(silent, handshake_limit_s=0.3, patience=patience) as connection:
                with pytest.raises(DownstreamUnavailable, match="it did not finish its handshake in time"):
                    await connection.call_tool("echo", {})
                began = time.monotonic()
                with pytest.raises(DownstreamUnavailable, match="it is tried again in"):
                    await connection.call_tool("echo", {})
                assert time.monotonic() - began < bound_s(10)  # of the 60 that the next try is away
            tasks.cancel_scope.cancel()


@pytest.mark.parametrize("kind", ["legacy", "modern"])
async def test_a_call_outlives_a_stall_on_the_way_and_can_be_given_up_meanwhile(kind: str) -> None:
    answers: list[str | None] = []

    async def call() -> None:
        answers.append((await connection.call_tool("echo", {"text": "through"})).text)

    with anyio.fail_after(30):
        async with through_a_proxy(kind) as (proxy, server), connected(server) as connection:
            await connection.call_tool("seen", {})
            proxy.flows = anyio.Event()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(call)
                with anyio.move_on_after(0.3) as given_up:
                    await connection.call_tool("echo", {"text": "never mind"})
                assert given_up.cancelled_caught
                assert answers == []
                proxy.flows.set()
            assert answers == ["through"]
            assert connection.status.attempts == 0


@pytest.mark.parametrize("kind", ["legacy", "modern"])
async def test_a_call_whose_connection_breaks_off_is_lost_at_once(kind: str) -> None:
    async def call() -> None:
        with pytest.raises(DownstreamLost, match="may have taken effect"):
            await connection.call_tool("slow", {"seconds": 60})

    with anyio.fail_after(30):
        async with through_a_proxy(kind) as (proxy, server), connected(server) as connection:
            await connection.call_tool("seen", {})
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(call)
                await anyio.wait_all_tasks_blocked()
                proxy.break_off()
            assert (await connection.call_tool("echo", {"text": "again"})).text == "again"


def test_every_platform_gets_the_options_that_it_knows() -> None:
    options = {(level, name): value for level, name, value in KeepAlive().socket_options()}
    assert options[socket.SOL_SOCKET, socket.SO_KEEPALIVE] == 1
    if sys.platform == "linux":
        assert options[socket.IPPROTO_TCP, socket.TCP_KEEPIDLE] == 30
        assert options[socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT] == 60_000
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as one:
        for level, name, value in KeepAlive().socket_options():
            one.setsockopt(level, name, value)


def _has_networks_of_its_own() -> bool:
    if sys.platform != "linux":
        return False
    try:
        return subprocess.run(["unshare", "-rn", "true"], check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not _has_networks_of_its_own(), reason="a network to cut takes user namespaces")
@pytest.mark.parametrize("kind", ["legacy", "modern"])
async def test_a_peer_that_is_cut_off_is_noticed_by_tcp(kind: str, tmp_path: Path) -> None:
    script = str(Path(__file__).parent / "half_open.py")
    with anyio.fail_after(40):
        ran = await anyio.run_process(
            ["unshare", "-rn", sys.executable, script, kind, str(tmp_path)],
            env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
            check=False,
            cwd=ROOT,
        )
    said = json.loads(ran.stdout.splitlines()[-1])
    assert said["ended"] == "DownstreamLost"
    assert said["after_s"] < bound_s(6)
