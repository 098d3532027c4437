"""The ways from the client to the echo server that are compared, and how each is opened as real processes."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Literal

import psutil
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from benchmarks.overhead.contextforge import contextforge
from benchmarks.overhead.peers import CONTEXTFORGE, FASTMCP, MCP_PROXY, Peer
from benchmarks.overhead.processes import SERVER, free_port, listening, newest_child

HERE = Path(__file__).parent
NEVER_S = 60.0
"""The gateway's inline wait here: calls in a tight loop are one endless step to it and would share the usual second."""


@dataclass(frozen=True, slots=True)
class Setting:
    """The transport between the client and what is measured, and the one between that and the server."""

    front: str
    back: str

    @property
    def name(self) -> str:
        return f"{self.front}>{self.back}"


STDIO, BRIDGE = Setting("stdio", "stdio"), Setting("stdio", "http")
HTTP_STDIO, HTTP = Setting("http", "stdio"), Setting("http", "http")
SETTINGS = (STDIO, BRIDGE, HTTP_STDIO, HTTP)


@dataclass(frozen=True, slots=True)
class Site:
    """What a command line is made of."""

    folder: Path
    """Survives from one start to the next, as the user's own files do."""
    server_command: Sequence[str]
    server_url: str | None
    port: int | None

    @property
    def behind(self) -> list[str]:
        """The server as the scripts beside this file take it."""
        return ["--url", self.server_url] if self.server_url else list(self.server_command)

    @property
    def at_port(self) -> list[str]:
        return [] if self.port is None else ["--port", str(self.port)]


@dataclass(frozen=True, slots=True)
class Route:
    """One of the compared; the direct one has no command."""

    name: str
    settings: frozenset[Setting]
    command: Callable[[Site], list[str]] | None = None
    peer: Peer | None = None
    is_async: bool = False
    """Whether each call answers with a token."""

    @property
    def is_available(self) -> bool:
        return self.peer is None or self.peer.is_installed


@dataclass(frozen=True, slots=True)
class Opened:
    """A route that answers."""

    route: Route
    client: Client
    process: psutil.Process | None = None
    """Nothing on the direct route: there is only the server."""
    tool_prefix: str = field(default="")


Era = Literal["auto", "legacy"]
"""What clients speak: the newest revision that both know, or the one with a handshake, as most do today."""


def _relay(site: Site) -> list[str]:
    return [sys.executable, str(HERE / "relay.py"), *site.at_port, *site.behind]


def _gateway(mode: str) -> Callable[[Site], list[str]]:
    def command(site: Site) -> list[str]:
        config = site.folder / f"{mode}.json"
        config.write_text(json.dumps(_document(site, mode)))
        network = ["--transport", "http", *site.at_port] if site.port else []
        return [sys.executable, "-m", "asyncfc_mcp", "serve", "--config", str(config), *network]

    return command


def _document(site: Site, mode: str) -> Mapping[str, object]:
    program, *arguments = site.server_command
    entry = {"url": site.server_url} if site.server_url else {"command": program, "args": arguments}
    settings = {"mode": mode, "inline_wait_s": NEVER_S}
    return {"mcpServers": {"overhead": {**entry, "asyncfc": {"prefix": ""}}}, "asyncfc": settings}


def _fastmcp(*options: str) -> Callable[[Site], list[str]]:
    script = str(HERE / "fastmcp_proxy.py")
    return lambda site: [str(FASTMCP.python), script, *options, *site.at_port, *site.behind]


def _mcp_proxy(site: Site) -> list[str]:
    program = MCP_PROXY.program("mcp-proxy")
    if site.server_url:
        return [program, "--log-level", "WARNING", "--transport", "streamablehttp", site.server_url]
    return [program, "--log-level", "WARNING", *site.at_port, "--", *site.server_command]


def _contextforge(_site: Site) -> list[str]:
    return [CONTEXTFORGE.program("mcpgateway")]


EVERYWHERE = frozenset(SETTINGS)
ROUTES = (
    Route("direct", EVERYWHERE),
    Route("relay", EVERYWHERE, _relay),
    Route("gateway", EVERYWHERE, _gateway("auto")),
    Route("gateway async", frozenset({STDIO, HTTP_STDIO}), _gateway("async"), is_async=True),
    Route("fastmcp", frozenset({STDIO, HTTP_STDIO, HTTP}), _fastmcp(), FASTMCP),
    Route("fastmcp 1 session", frozenset({STDIO, HTTP_STDIO, HTTP}), _fastmcp("--one-session"), FASTMCP),
    Route("mcp-proxy", frozenset({BRIDGE, HTTP_STDIO}), _mcp_proxy, MCP_PROXY),
    Route("contextforge", frozenset({HTTP}), _contextforge, CONTEXTFORGE),
)


@asynccontextmanager
async def opened(
    route: Route, setting: Setting, folder: Path, *, tools: int = 3, era: Era = "auto"
) -> AsyncGenerator[Opened]:
    """The route with a server of its own behind it and a client in front of it."""
    _make(folder)
    server_command = [sys.executable, str(SERVER), "--tools", str(tools)]
    is_http_only = route.command is None and setting.front == "http"
    async with AsyncExitStack() as stack:
        # A real file: child processes write to it themselves.
        log = stack.enter_context((folder / f"{_file_name(route)}.log").open("a"))
        url = None
        if setting.back == "http" or is_http_only:
            port = _same_port(folder)
            await stack.enter_async_context(listening([*server_command, "--port", str(port)], port, log))
            url = _url(port)
        site = Site(folder, server_command, url, free_port() if setting.front == "http" else None)
        yield await stack.enter_async_context(_entered(route, site, log, era))


def _make(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)


def _same_port(folder: Path) -> int:
    """A server that is started again has the address it had, as a real one would: lists are kept by it."""
    file = folder / "port"
    if not file.exists():
        file.write_text(str(free_port()))
    return int(file.read_text())


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}/mcp"


def _file_name(route: Route) -> str:
    return route.name.replace(" ", "-")


@asynccontextmanager
async def _entered(route: Route, site: Site, log: IO[str], era: Era) -> AsyncGenerator[Opened]:
    if route.command is None:
        async with _direct(site, log, era) as client:
            yield Opened(route, client)
    elif route.peer is CONTEXTFORGE:
        assert site.port is not None
        assert site.server_url is not None
        async with contextforge(site.port, site.server_url, site.folder, log) as (client, process, prefix):
            yield Opened(route, client, process, prefix)
    elif site.port is None:
        async with _over_stdio(route.command(site), site, log, era) as client:
            yield Opened(route, client, newest_child())
    else:
        environment = _environment(site)
        async with (
            listening(route.command(site), site.port, log, environment) as process,
            Client(_url(site.port), mode=era) as client,
        ):
            yield Opened(route, client, process)


def _direct(site: Site, log: IO[str], era: Era) -> AbstractAsyncContextManager[Client]:
    if site.server_url:
        return Client(site.server_url, mode=era)
    return _over_stdio(site.server_command, site, log, era)


@asynccontextmanager
async def _over_stdio(command: Sequence[str], site: Site, log: IO[str], era: Era) -> AsyncGenerator[Client]:
    program, *arguments = command
    parameters = StdioServerParameters(command=program, args=arguments, env=_environment(site))
    async with Client(stdio_client(parameters, errlog=log), mode=era) as client:  # pyright: ignore[reportArgumentType]
        yield client


def _environment(site: Site) -> dict[str, str]:
    return {"ASYNCFC_STATE_FOLDER": str(site.folder / "state")}
