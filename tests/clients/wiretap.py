"""Stands between a client and the server that it starts, and keeps every line that passes, one JSON object a line.

Started as `wiretap.py TAPE COMMAND ARGS`. It changes nothing, and ends when the server does.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO


def relay(source: IO[bytes], sink: IO[bytes], said_by: str, tape: Path, lock: threading.Lock) -> None:
    for line in source:
        with lock, tape.open("a") as kept:
            entry = {"by": said_by, "at": time.time(), "message": json.loads(line)}
            kept.write(json.dumps(entry) + "\n")
        try:
            sink.write(line)
            sink.flush()
        except OSError:
            return
    if said_by == "client":
        sink.close()


def main() -> int:
    tape, lock = Path(sys.argv[1]), threading.Lock()
    with subprocess.Popen(sys.argv[2:], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        to_server = (sys.stdin.buffer, server.stdin, "client", tape, lock)
        threading.Thread(target=relay, args=to_server, daemon=True).start()
        relay(server.stdout, sys.stdout.buffer, "server", tape, lock)
    return server.returncode


if __name__ == "__main__":
    sys.exit(main())
