"""Stands between HTTP clients and a server on loopback, and keeps what the clients send, one JSON object a line.

It changes nothing but that each connection carries one request, so that a client which drops a request is seen to.
What has no JSON-RPC message is kept as one with a method that none has: `HTTP GET`, `HTTP DELETE`, and `HTTP dropped`
with the id of the request that the client no longer waited for.
"""

from __future__ import annotations

import json
import select
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

CHUNK = 65536
CLOSING_S = 0.3
"""How soon after its last word the server closes."""


@contextmanager
def http_wiretap(url: str, tape: Path) -> Generator[str]:
    """Give the URL at which the server behind `url` can be reached while it is listened to."""
    target = urlsplit(url)
    lock = threading.Lock()

    def keep(message: Any) -> None:
        with lock, tape.open("a") as kept:
            kept.write(json.dumps({"by": "client", "message": message}) + "\n")

    class Handler(BaseHTTPRequestHandler):
        def relay(self) -> None:
            self.close_connection = True
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            message = json.loads(body) if body else {"method": f"HTTP {self.command}"}
            keep(message)
            del self.headers["Host"], self.headers["Connection"]
            self.headers["Host"], self.headers["Connection"] = target.netloc, "close"
            headers = (f"{name}: {value}" for name, value in self.headers.items())
            head = "\r\n".join([f"{self.command} {self.path} HTTP/1.1", *headers, "", ""])
            with socket.create_connection((target.hostname, target.port)) as server, suppress(ConnectionError):
                server.sendall(head.encode() + body)
                if not self.pass_back(server) and "id" in message:
                    keep({"method": "HTTP dropped", "id": message["id"]})

        def do_GET(self) -> None:
            self.relay()

        def do_POST(self) -> None:
            self.relay()

        def do_DELETE(self) -> None:
            self.relay()

        def pass_back(self, server: socket.socket) -> bool:
            """Pass on the answer as it comes; whether the client was there until its end."""
            client = self.connection
            while True:
                ready, _, _ = select.select([server, client], [], [])
                if client in ready:
                    # it has gone, whatever has come for it since; if it has the whole answer, only the end is to come
                    ready, _, _ = select.select([server], [], [], CLOSING_S)
                    return bool(ready) and not server.recv(1)
                if not (part := server.recv(CHUNK)):
                    return True
                try:
                    client.sendall(part)
                except ConnectionError:
                    return False

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  its own name there
            """The tape has it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = False  # so that the tape is complete when this is left
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}{target.path}"
        finally:
            server.shutdown()
