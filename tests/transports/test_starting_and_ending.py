"""The real process: what it refuses to start with, and that it ends in time with nothing left."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import httpx2
import pytest

from tests.harness import FREE, LIMIT_S, toy
from tests.process.support import RawGateway, run, started
from tests.transports.support import BOTH, TOKEN, Kind, Place, RawHttp, value

pytestmark = pytest.mark.anyio

HELD = toy(tools={"hold": FREE})


@asynccontextmanager
async def gateway_at(
    folder: Path, kind: Kind, *options: str, environment: dict[str, str] | None = None, bearer: str | None = None
) -> AsyncGenerator[tuple[RawGateway, Place]]:
    options = ("--transport", kind, "--port", "0", *options)
    async with started(folder, {"toy": HELD}, *options, environment=environment) as gateway:
        url = (await gateway.logged("listening"))["url"]
        yield gateway, Place(kind, url.replace("0.0.0.0", "127.0.0.1"), bearer)


@pytest.mark.parametrize(
    ("options", "environment", "named"),
    [
        (["--transport", "http", "--host", "0.0.0.0"], {}, ["0.0.0.0", "ASYNCFC_TOKEN", "--insecure"]),
        (["--transport", "sse", "--host", "::"], {}, ["'::'", "--token-file"]),
        (["--transport", "http"], {"ASYNCFC_TOKEN": "short-secret"}, ["ASYNCFC_TOKEN", "16"]),
        (["--transport", "http"], {"ASYNCFC_TOKEN": ""}, ["ASYNCFC_TOKEN", "empty"]),
        (["--transport", "http", "--token-file", "nowhere"], {}, ["nowhere", "no such file"]),
        (["--transport", "http", "--host", "192.0.2.1", "--insecure"], {}, ["192.0.2.1", "--host"]),
        (["--transport", "http", "--port", "70000"], {}, ["--port", "70000"]),
        (["--port", "8765"], {}, ["--port", "--transport"]),
        (["--insecure"], {}, ["--insecure", "--transport"]),
    ],
)
async def test_a_wrong_start_is_one_message_and_exit_code_2(
    tmp_path: Path, options: list[str], environment: dict[str, str], named: list[str]
) -> None:
    arguments = ["serve", *options, "--", "echo"]
    async with run(tmp_path, arguments, environment=environment) as gateway:
        code = await gateway.exit_code()
        stderr = await gateway.stderr()
        assert (code, await gateway.rest()) == (2, [])
    assert [part for part in named if part not in stderr] == []
    assert "Traceback" not in stderr
    assert "short-secret" not in stderr


async def test_a_port_in_use_is_one_message_and_exit_code_2(tmp_path: Path) -> None:
    async with gateway_at(tmp_path, "http") as (_, place):
        port = place.url.rpartition(":")[2].partition("/")[0]
        async with run(tmp_path, ["serve", "--transport", "http", "--port", port, "--", "echo"]) as second:
            assert await second.exit_code() == 2
            assert f"port {port}: address already in use" in await second.stderr()


@pytest.mark.parametrize("kind", ["http", "sse"])
async def test_the_token_opens_the_door_and_goes_nowhere_else(tmp_path: Path, kind: Kind) -> None:
    secret = {"ASYNCFC_TOKEN": TOKEN}
    options = ("--host", "0.0.0.0", "--log-level", "debug")
    async with gateway_at(tmp_path, kind, *options, environment=secret, bearer=TOKEN) as (gateway, place):
        async with place.client("legacy") as client:
            assert await value(client, "echo", text="hi") == "hi"
        async with httpx2.AsyncClient(headers=BOTH) as http:
            assert (await http.post(place.url, json={})).status_code == 401
        for child in gateway.family():
            if child.pid != gateway.pid:
                assert "ASYNCFC_TOKEN" not in child.environ()
        gateway.signal(signal.SIGTERM)
        assert await gateway.ended() == 0
        assert TOKEN not in await gateway.stderr()
        assert await gateway.rest() == []


@pytest.mark.skipif(os.name == "nt", reason="sends POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_open_streams_and_running_calls_do_not_hold_the_end(tmp_path: Path, number: signal.Signals) -> None:
    async with gateway_at(tmp_path, "http") as (gateway, place), place.http() as http:
        await http.initialize()
        async with anyio.create_task_group() as tasks:
            opened = anyio.Event()
            tasks.start_soon(_listen, http, opened)
            tasks.start_soon(_call_in_vain, http, "legacy")
            tasks.start_soon(_call_in_vain, http, "modern")
            with anyio.fail_after(LIMIT_S):
                await opened.wait()
            for key in ("legacy", "modern"):
                assert await http.text("started", key=key, _wait_s=LIMIT_S) == f"started {key}"
            assert len(gateway.family()) == 3
            gateway.signal(number)
            assert await gateway.ended() == 0
            tasks.cancel_scope.cancel()
        assert "Traceback" not in await gateway.stderr()


@pytest.mark.skipif(os.name == "nt", reason="sends POSIX signals")
async def test_an_sse_client_does_not_hold_the_end(tmp_path: Path) -> None:
    async with gateway_at(tmp_path, "sse") as (gateway, place), place.http() as http:
        async with anyio.create_task_group() as tasks:
            opened = anyio.Event()
            tasks.start_soon(_listen, http, opened)
            with anyio.fail_after(LIMIT_S):
                await opened.wait()
            gateway.family()
            gateway.signal(signal.SIGTERM)
            assert await gateway.ended() == 0
        assert "Traceback" not in await gateway.stderr()


async def _listen(http: RawHttp, opened: anyio.Event) -> None:
    """Hold a stream open until the gateway ends it."""
    with suppress(httpx2.HTTPError):
        async with http.client.stream("GET", http.url, headers=http.session) as stream:
            assert stream.status_code == 200
            opened.set()
            async for _ in stream.aiter_bytes():
                pass


async def _call_in_vain(http: RawHttp, key: str) -> None:
    arguments = {"key": key, "_wait_s": LIMIT_S}
    message, headers = http.call_message("hold", arguments), http.session
    if key == "modern":
        message, headers = http.modern("hold", arguments)
    with suppress(httpx2.HTTPError):
        await http.client.post(http.url, json=message, headers=headers)
