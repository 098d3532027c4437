"""Run inside a network of its own: cuts the loopback device in the middle of a call, and prints how the call ended.

The argument is a kind of server, as `tests.downstream.support.eras_over_http` has them.
"""

from __future__ import annotations

import fcntl
import json
import socket
import struct
import sys
import time
from pathlib import Path

import anyio
import anyio.lowlevel

from asyncfc_mcp.downstream.links.keep_alive import KeepAlive
from asyncfc_mcp.downstream.outcome import DownstreamError
from asyncfc_mcp.downstream.patience import Patience
from tests.downstream.support import connected, eras_over_http

_GET_FLAGS, _SET_FLAGS, _IS_UP = 0x8913, 0x8914, 1


def switch_loopback(*, on: bool) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        asked = fcntl.ioctl(control, _GET_FLAGS, struct.pack("16sh14x", b"lo", 0))
        (flags,) = struct.unpack("16xh14x", asked)
        fcntl.ioctl(control, _SET_FLAGS, struct.pack("16sh14x", b"lo", flags | _IS_UP if on else flags & ~_IS_UP))


async def main(kind: str, folder: str) -> None:
    file = Path(folder, "never")
    switch_loopback(on=True)
    patience = Patience(keep_alive=KeepAlive(idle_s=1, interval_s=1, probes=2))
    async with eras_over_http(kind) as server, connected(server, patience=patience) as connection:
        await connection.call_tool("seen", {})

        async def cut() -> None:
            nonlocal cut_at
            while not Path(f"{file}.waiting").exists():
                await anyio.lowlevel.checkpoint()
            switch_loopback(on=False)
            cut_at = time.monotonic()

        cut_at, ended = 0.0, ""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(cut)
            try:
                await connection.call_tool("wait_for_file", {"path": str(file)})
                ended = "answered"
            except DownstreamError as error:
                ended = type(error).__name__
        said = {"ended": ended, "after_s": time.monotonic() - cut_at}
        sys.stdout.write(json.dumps(said) + "\n")
        switch_loopback(on=True)


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], sys.argv[2])
