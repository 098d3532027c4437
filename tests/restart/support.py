"""Gateways that are killed, and the next ones on the same store, on stdio and over HTTP."""

from __future__ import annotations

import signal
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2

from tests.bounds import bound_s, with_wait
from tests.process.support import LIMIT_S, RawGateway, started, text_of
from tests.transports.support import BOTH, RawHttp, answer_in

Json = dict[str, Any]
TOKEN = "a-token-that-nobody-guesses"


@asynccontextmanager
async def stdio_gateway(folder: Path, servers: Mapping[str, Any], **settings: Any) -> AsyncGenerator[RawGateway]:
    """A gateway on stdio whose client has shaken hands."""
    async with started(folder, servers, settings=settings) as gateway:
        await gateway.initialize()
        yield gateway


async def kill(gateway: RawGateway) -> None:
    """End it at once, whatever it is doing, and its servers with it."""
    gateway.family()
    gateway.signal(signal.SIGKILL)
    await gateway.exit_code()


async def end(gateway: RawGateway) -> None:
    """End it in good order."""
    gateway.close_stdin()
    await gateway.exit_code()


class Visitor:
    """A client of the later era, which has no session: each request stands alone."""

    def __init__(self, process: RawGateway, http: RawHttp) -> None:
        self.process = process
        self._http = http

    async def call(self, tool: str, *, scope: str | None = None, **arguments: Any) -> Json:
        message, headers = self._http.modern(tool, arguments)
        if scope is not None:
            headers["asyncfc-scope"] = scope
        with anyio.fail_after(bound_s(LIMIT_S)):
            return answer_in(await self._http.post(message, **headers))

    async def text(self, tool: str, *, scope: str | None = None, **arguments: Any) -> str:
        """The text of the answer without what was attached to it."""
        return text_of(await self.call(tool, scope=scope, **with_wait(tool, arguments))).split("\n--- ")[0]

    async def token(self, tool: str, *, scope: str | None = None, **arguments: Any) -> str:
        """Call and have the token at once."""
        answer = await self.call(tool, scope=scope, _wait_s=0, **arguments)
        return answer["result"]["_meta"]["asyncfc/future"]["token"]


@asynccontextmanager
async def http_gateway(
    folder: Path, servers: Mapping[str, Any], *, token: str | None = TOKEN, **settings: Any
) -> AsyncGenerator[Visitor]:
    """A gateway over HTTP, and a client that brings that bearer token; where there is none, callers are anonymous."""
    options = ("--transport", "http", "--port", "0")
    environment = {"ASYNCFC_TOKEN": token} if token else {}
    async with started(folder, servers, *options, settings=settings, environment=environment) as process:
        url = (await process.logged("listening"))["url"]
        headers = {**BOTH, **({"authorization": f"Bearer {token}"} if token else {})}
        async with httpx2.AsyncClient(headers=headers, timeout=bound_s(LIMIT_S)) as client:
            yield Visitor(process, RawHttp(client, url))
