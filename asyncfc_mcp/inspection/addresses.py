"""Why a server at an address is not up: looked at with one plain request."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx2

from asyncfc_mcp.config.models import RemoteEntry
from asyncfc_mcp.inspection.findings import Finding, Severity
from asyncfc_mcp.inspection.servers import ListedServer

_LIMIT_S = 10.0


class _Fault(NamedTuple):
    code: str
    fact: str
    remedy: str


async def address_findings(entry: RemoteEntry, server: ListedServer) -> list[Finding]:
    """What is to be said of the way to it."""
    open_way = _open_way(entry, server.key)
    if server.ready_s is not None:
        return open_way
    if (server.status.message or "").startswith("it needs you to sign in"):
        return [*open_way, _sign_in(server.key)]
    return [*open_way, await _reason(entry, server)]


def _open_way(entry: RemoteEntry, server: str) -> list[Finding]:
    """Credentials that everybody on the way can read."""
    parts = urlsplit(entry.url)
    carries = any(name.lower() in {"authorization", "cookie", "x-api-key"} for name in entry.headers) or parts.username
    if parts.scheme == "https" or not carries or _is_here(parts.hostname or ""):
        return []
    fact = "its credentials go over http:// as they are"
    return [Finding(server, Severity.WARNING, "unencrypted", fact, "use https://, or a tunnel to 127.0.0.1")]


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


async def _reason(entry: RemoteEntry, server: ListedServer) -> Finding:
    place = _place(entry.url)
    try:
        status = await _status(entry)
    except httpx2.TransportError as fault:
        return Finding(server.key, Severity.ERROR, *_of_way(fault, place))
    except httpx2.InvalidURL:  # a host that no name of a machine can be written like
        fact = f"no address can be known of {place}"
        return Finding(server.key, Severity.ERROR, "unknown_host", fact, "correct the host in `url`")
    if status in {401, 403}:
        return _refused(entry, server.key, status)
    return Finding(server.key, Severity.ERROR, *_of_status(status, place, entry, server))


def _of_way(fault: httpx2.TransportError, place: str) -> _Fault:
    causes = [*_causes(fault)]
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return _Fault("unknown_host", f"no address is known of {place}", "correct the host in `url`, or the network")
    tls = next((cause for cause in causes if isinstance(cause, ssl.SSLError)), None)
    if tls is not None:
        return _Fault("tls", f"no trusted connection to {place}: {_of_tls(tls)}", _remedy_of_tls(tls))
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return _Fault("unreachable", f"nothing listens at {place}", "start the server, or correct `url`")
    is_silent = isinstance(fault, httpx2.TimeoutException)
    fact = f"does not answer in {_LIMIT_S:g} s" if is_silent else f"cannot be reached ({type(fault).__name__})"
    return _Fault("unreachable", f"{place} {fact}", "check `url`, the network and the proxy")


def _of_status(status: int, place: str, entry: RemoteEntry, server: ListedServer) -> _Fault:
    if status == 404:
        fact = f"{place} answers, but has nothing at that path (HTTP 404)"
        return _Fault("wrong_path", fact, "correct the path in `url`: often it is /mcp or /sse")
    if 300 <= status < 400:
        fact = f"{place} sends elsewhere (HTTP {status})"
        return _Fault("moved", fact, "give the address that it is at now as `url`")
    if status >= 500:
        return _Fault("server_fault", f"{place} answers HTTP {status}", "see the server's own log; try again later")
    fact = f"{place} answers, but {server.status.message or 'speaks no MCP that came to an end in time'}"
    other = "http" if entry.type == "sse" else "sse"
    return _Fault("refused", fact, f'check `url`, or set "type": "{other}" if it is of that kind')


async def _status(entry: RemoteEntry) -> int:
    headers = {**entry.headers, "accept": "text/event-stream"}
    async with (
        httpx2.AsyncClient(timeout=_LIMIT_S) as client,
        client.stream("GET", entry.url, headers=headers) as response,
    ):
        return response.status_code


def _refused(entry: RemoteEntry, server: str, status: int) -> Finding:
    if any(name.lower() == "authorization" for name in entry.headers) or urlsplit(entry.url).username:
        fact = f"it refuses the credentials of its entry (HTTP {status})"
        return Finding(server, Severity.ERROR, "credentials_refused", fact, "put valid ones into `headers`")
    if entry.oauth is None:
        fact = f"it wants credentials (HTTP {status}), and `oauth` is false"
        remedy = "put them into `headers`, or take `oauth` away to sign in by browser"
        return Finding(server, Severity.ERROR, "sign_in_needed", fact, remedy)
    return _sign_in(server)


def _sign_in(server: str) -> Finding:
    return Finding(
        server,
        Severity.ERROR,
        "sign_in_needed",
        "it needs you to sign in",
        "start the gateway and open the address that `list_futures` and its log name; once is enough. If it has no "
        "sign-in by browser, put its credentials into `headers`",
    )


def _place(url: str) -> str:
    """The address without what may be secret in it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _of_tls(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    return (error.reason or "the handshake failed").lower().replace("_", " ")


def _remedy_of_tls(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return "correct the host in `url`, or let this machine trust its authority: SSL_CERT_FILE names a file with it"
    return "see whether it speaks https:// at that port; if not, write http://"
