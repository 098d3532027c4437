"""A server at an address that is not up: what is wrong with the way to it."""

from __future__ import annotations

import ssl
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.downstream.support import ERAS_HTTP, free_port
from tests.inspection.support import Doctor

SECRET = "hush-5f1c9"


@contextmanager
def answering(status: int, context: ssl.SSLContext | None = None) -> Generator[str]:
    """A web server that answers everything with one status; its `host:port`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_DELETE = do_GET  # noqa: N815 - the names are the library's

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            pass  # whoever does not trust us hangs up

    with Server(("127.0.0.1", 0), Handler) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join(10)


@pytest.fixture
def untrusted(tmp_path: Path) -> ssl.SSLContext:
    """The certificate of an authority that nobody knows."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = ["-subj", "/CN=127.0.0.1", "-days", "2", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*make, *names], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def test_an_address_where_nobody_listens_is_told_without_its_path_and_query(doctor: Doctor) -> None:
    port = free_port()
    said = doctor.of_one({"url": f"http://127.0.0.1:{port}/{SECRET}/mcp?key={SECRET}"})
    assert said.finding("unreachable")["fact"] == f"nothing listens at http://127.0.0.1:{port}"
    assert SECRET not in str(said.document)


def test_a_server_that_is_up_gives_no_error(doctor: Doctor) -> None:
    with subprocess.Popen([sys.executable, str(ERAS_HTTP), "dual", str(port := free_port())], stdout=-1) as server:
        assert server.stdout is not None
        assert server.stdout.readline().startswith(b"listening")
        said = doctor.of_one({"url": f"http://127.0.0.1:{port}/mcp"})
        server.kill()
    assert (said.exit_code, said.document["servers"][0]["state"]) == (0, "ready")


def test_a_host_without_an_address_is_told(doctor: Doctor) -> None:
    assert doctor.of_one({"url": "http://no-such-host.invalid/mcp"}).codes() == ["unknown_host"]


def test_a_certificate_that_nobody_trusts_is_told(doctor: Doctor, untrusted: ssl.SSLContext) -> None:
    with answering(200, untrusted) as place:
        finding = doctor.of_one({"url": f"https://{place}/mcp"}).finding("tls")
    assert "self-signed" in finding["fact"]
    assert "SSL_CERT_FILE" in finding["remedy"]


def test_https_to_a_port_that_speaks_http_is_told(doctor: Doctor) -> None:
    with answering(200) as place:
        assert "write http://" in doctor.of_one({"url": f"https://{place}/mcp"}).finding("tls")["remedy"]


def test_a_server_that_wants_a_sign_in_is_told_by_what_its_entry_has(doctor: Doctor) -> None:
    with answering(401) as place:
        url = f"http://{place}/mcp"
        said = doctor.of(
            {
                "bare": {"url": url},
                "off": {"url": url, "oauth": False},
                "wrong": {"url": url, "headers": {"Authorization": f"Bearer {SECRET}"}},
            }
        )
    assert said.codes("bare") == ["sign_in_needed"]
    assert "`oauth` is false" in said.finding("sign_in_needed", "off")["fact"]
    assert said.codes("wrong") == ["credentials_refused"]
    assert SECRET not in str(said.document)


@pytest.mark.parametrize(
    ("status", "code"), [(404, "wrong_path"), (302, "moved"), (502, "server_fault"), (400, "refused")]
)
def test_an_answer_that_is_no_mcp_is_told_by_its_status(doctor: Doctor, status: int, code: str) -> None:
    with answering(status) as place:
        assert doctor.of_one({"url": f"http://{place}/mcp"}).codes() == [code]


def test_credentials_on_an_open_way_are_told_unless_they_stay_on_this_machine(doctor: Doctor) -> None:
    headers = {"Authorization": f"Bearer {SECRET}"}
    said = doctor.of(
        {
            "far": {"url": "http://no-such-host.invalid/mcp", "headers": headers},
            "near": {"url": f"http://127.0.0.1:{free_port()}/mcp", "headers": headers},
        }
    )
    assert "unencrypted" in said.codes("far")
    assert "unencrypted" not in said.codes("near")


def test_a_host_that_can_be_no_name_is_told_as_one_without_an_address(doctor: Doctor) -> None:
    assert doctor.of_one({"url": "http://\u2603.example/mcp"}).codes() == ["unknown_host"]


def test_an_address_of_ipv6_is_shown_as_it_is_written(doctor: Doctor) -> None:
    assert "http://[::1]:9" in doctor.of_one({"url": "http://ann:secret@[::1]:9/mcp"}).finding("unreachable")["fact"]
