"""FastMCP's proxy as a process, run by the Python of the peer's own environment, never by ours.

`python fastmcp_proxy.py [--one-session] [--port N] (--url URL | COMMAND ...)`: by default as its documentation has
it, which opens a session (and starts a stdio server) as it sees fit; with one session, over a client that is connected.
"""
# pyright: basic, reportMissingImports=false

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from fastmcp import Client
from fastmcp.client.transports import StdioTransport
from fastmcp.server import create_proxy


async def serve(proxy: Any, port: int | None) -> None:
    if port is None:
        await proxy.run_async(transport="stdio", show_banner=False)
    else:
        await proxy.run_async(
            transport="http", host="127.0.0.1", port=port, show_banner=False, uvicorn_config={"log_level": "warning"}
        )


async def main(options: argparse.Namespace) -> None:
    command, *arguments = options.command or [""]
    target = options.url or StdioTransport(command=command, args=arguments)
    if not options.one_session:
        await serve(create_proxy(target), options.port)
        return
    async with Client(target) as client:
        await serve(create_proxy(client), options.port)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one-session", action="store_true")
    parser.add_argument("--port", type=int)
    parser.add_argument("--url")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    asyncio.run(main(parser.parse_args()))
