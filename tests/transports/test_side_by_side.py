"""Calls that a client sends side by side run so, also where the gateway could not read the second one in time."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

import anyio
import httpx2
import pytest

from asyncfc_mcp.gateway.answering.delivery import QUIET_S
from tests.bad_input.wires import place
from tests.harness import LIMIT_S, toy
from tests.transports.support import BOTH, Json, RawHttp

pytestmark = pytest.mark.anyio

SCOPE = {"asyncfc-scope": "chat"}


def request(http: RawHttp, era: str, tool: str, arguments: Json) -> tuple[Json, dict[str, str]]:
    if era == "modern":
        message, headers = http.modern(tool, arguments)
        return message, headers | SCOPE
    return http.call_message(tool, arguments), http.session


def sent_on_a_new_connection(url: str, message: Json, headers: Mapping[str, str]) -> socket.socket:
    """A request that the kernel has; nobody needs to have read it."""
    address, body = urlsplit(url), json.dumps(message).encode()
    said = {**BOTH, **headers, "host": address.netloc, "content-length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in said.items())
    connection = socket.create_connection((address.hostname, address.port))
    connection.sendall(f"POST {address.path} HTTP/1.1\r\n{head}\r\n".encode() + body)
    return connection


@pytest.mark.parametrize("lasts", [0.9, 1.2, 4])
@pytest.mark.parametrize("era", ["modern", "legacy"])
async def test_a_call_that_came_on_a_new_connection_while_the_gateway_stood_still_runs_beside_the_one_before(
    era: str, lasts: float
) -> None:
    connections: list[socket.socket] = []
    async with place("http", {"toy": toy()}) as gateway, httpx2.AsyncClient(headers=BOTH, timeout=60) as client:
        http = RawHttp(client, gateway.url)
        if era == "legacy":
            await http.initialize()
        warm, headers = request(http, era, "release", {"key": "nothing", "_wait_s": LIMIT_S})
        await http.post(warm, **headers)
        second = request(http, era, "hold", {"key": "b", "_wait_s": 0})

        def stand_still(_: object) -> None:
            """As the first call is taken in, so that the second has been sent before any token can leave."""
            if not connections:
                connections.append(sent_on_a_new_connection(gateway.url, *second))
                time.sleep(lasts * QUIET_S)

        gateway.app.gateway.runner.greet(stand_still)
        first, headers = request(http, era, "hold", {"key": "a", "_wait_s": 0})
        try:
            await http.post(first, **headers)
            asked, headers = request(http, era, "started", {"key": "b", "_wait_s": LIMIT_S})
            assert "started b" in (await http.post(asked, **headers)).text
        finally:
            for connection in connections:
                connection.close()
            with anyio.CancelScope(shield=True):
                for key in "ab":
                    done, headers = request(http, era, "release", {"key": key, "_wait_s": LIMIT_S})
                    await http.post(done, **headers)
