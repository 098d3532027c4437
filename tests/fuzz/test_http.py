"""HTTP requests of any kind: each is answered, none is a fault of ours, and other clients are served."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bad_input.wires import LEGACY, MODERN
from tests.fuzz.budget import examples
from tests.fuzz.hostile import among
from tests.fuzz.test_framing import LINES
from tests.fuzz.wire import ANSWERS, NOTIFICATIONS, REQUESTS
from tests.process.support import Json
from tests.transports.support import LIMIT_S, RawHttp, answer_in, place

pytestmark = pytest.mark.anyio

WORDS = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=12)
HEADERS = st.dictionaries(
    among(
        [
            *("accept", "content-type", "content-encoding", "mcp-session-id", "mcp-protocol-version", "mcp-method"),
            *("mcp-name", "asyncfc-scope", "authorization", "last-event-id", "origin", "host", "x-forwarded-for"),
        ]
    ),
    among(
        [
            *(
                "application/json",
                "text/event-stream",
                "text/plain",
                "gzip",
                "*/*",
                LEGACY,
                MODERN,
                "tools/call",
                "echo",
            ),
            *("http://127.0.0.1", "https://evil.example", "null", "Bearer x", "", "0", "a" * 300, "é"),
        ]
    )
    | WORDS,
    max_size=5,
).map(lambda headers: {name: value.encode() for name, value in headers.items()})


def written(message: Json, identity: Json) -> bytes:
    return json.dumps({"jsonrpc": "2.0", **message, **identity}).encode()


BODIES = LINES | st.builds(
    written,
    REQUESTS | NOTIFICATIONS | ANSWERS,
    among([{}, {"id": 1}, {"id": "one"}, {"id": None}, {"id": 1.5}]),
)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def client() -> AsyncGenerator[RawHttp]:
    """Many clients, as far as the gateway can tell; they share what is costly to make."""
    async with place("http", await_cap_s=0.2, inline_wait_s=0.2) as gateway, gateway.http() as one:
        yield one
        await one.initialize()
        await one.call("echo", text="still here", _as="unharmed")
        with anyio.fail_after(LIMIT_S):
            while (said := await one.text("await_future", futures=["fut_unharmed"])).startswith("Still unsettled"):
                pass
        assert said.startswith("still here")


@examples(30)
@given(
    method=among(["POST", "POST", "POST", "GET", "DELETE", "PUT", "OPTIONS", "HEAD", "ODD"]),
    path=among(["", "", "", "/", "?x=1", "/../mcp", "/x", "%00"]),
    headers=HEADERS,
    body=BODIES,
)
async def test_every_request_has_an_answer_that_is_no_fault_of_ours(
    client: RawHttp, method: str, path: str, headers: Any, body: bytes
) -> None:
    request = client.client.build_request(method, client.url + path, content=body, headers=headers)
    with anyio.fail_after(LIMIT_S):
        response = await client.client.send(request, stream=True)
    await response.aclose()
    assert 200 <= response.status_code < 500


@examples(20)
@given(message=REQUESTS, era=among(["legacy", "modern", "neither"]))
async def test_every_request_that_says_its_era_is_answered_under_its_id(
    client: RawHttp, message: Json, era: str
) -> None:
    client.session = {}
    if era == "legacy":
        await client.initialize()
    headers = {"mcp_protocol_version": MODERN, "mcp_method": _header(message["method"])} if era == "modern" else {}
    response = await client.post({"jsonrpc": "2.0", **message, "id": "mine"}, **headers)
    assert 200 <= response.status_code < 500
    if response.status_code == 200:
        assert answer_in(response)["id"] == "mine"


def _header(method: Any) -> str:
    text = str(method)
    return text if text.isascii() and text.isprintable() else "odd"
