"""`python -m benchmarks.workloads.serve`: one server of one program as a stdio process of its own.

Servers of a program share no state, so that each may run in its own process.
"""

from __future__ import annotations

import argparse

import anyio
from mcp.server.stdio import stdio_server

from benchmarks.workloads.catalog import find
from benchmarks.workloads.latency import LogNormalLatency


async def serve(program: str, server: str, latency: LogNormalLatency) -> None:
    """Serve until the client closes our stdin."""
    running = find(program).backend().server(server, latency)
    async with stdio_server() as (incoming, outgoing):
        await running.run(incoming, outgoing, running.create_initialization_options())


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.workloads.serve", description=__doc__)
    parser.add_argument("--program", required=True, help="such as multi_turn_base_12, fanout_0, coding_39")
    parser.add_argument("--server", required=True)
    parser.add_argument("--mean", type=float, required=True, metavar="SECONDS", help="mean latency of a call")
    parser.add_argument("--seed", type=int, required=True)
    options = parser.parse_args()
    anyio.run(serve, options.program, options.server, LogNormalLatency(options.mean, options.seed))


if __name__ == "__main__":
    main()
