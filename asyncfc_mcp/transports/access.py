"""Who may come in over the network: the Host and Origin that a request must have, and the bearer token.

Forwarded headers of proxies are not looked at: what they say can be made up by anybody who reaches us.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser, BearerAuthBackend, RequireAuthMiddleware
from mcp.server.auth.provider import AccessToken
from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from starlette.authentication import AuthCredentials
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from asyncfc_mcp.errors import GatewayError
from asyncfc_mcp.transports.listener import ANY_ADDRESS

TOKEN_VARIABLE = "ASYNCFC_TOKEN"  # noqa: S105  the name of a variable
BEARER = "bearer"
"""The principal of everybody who has the one token."""
LEAST_TOKEN_CHARACTERS = 16

_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
_HOST_NAME = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^\s/:\[\]]+)(?::(?:\d+|\*))?")
_ORIGIN = re.compile(rf"null|[a-z][a-z0-9+.-]*://{_HOST_NAME.pattern}")
_MAKE_ONE = 'make one with `python -c "import secrets; print(secrets.token_urlsafe(32))"`'

log = structlog.get_logger()


class TokenFault(GatewayError):
    """The bearer token that was given cannot be used."""

    def __init__(self, source: str, fact: str) -> None:
        super().__init__(f"the bearer token of {source} {fact}; {_MAKE_ONE}")
        self.source = source


class OpenToEverybody(GatewayError):
    """The address can be reached from other machines, and nothing would keep them out."""

    def __init__(self, host: str) -> None:
        super().__init__(
            f"{host!r} can be reached from other machines and there is no bearer token: set {TOKEN_VARIABLE} or "
            f"--token-file ({_MAKE_ONE}), bind to 127.0.0.1, or say --insecure if something else keeps others out"
        )
        self.host = host


class NoAddress(GatewayError):
    """What was given as a host or an origin is none, and no request could ever match it."""

    def __init__(self, option: str, given: str, form: str) -> None:
        super().__init__(f"{option} {given!r} can match no request; write {form}")
        self.option = option


@dataclass(frozen=True, slots=True)
class Access:
    """Who may come in."""

    hosts: tuple[str, ...]
    """What the Host header may say; `name:*` stands for any port."""
    origins: tuple[str, ...]
    """What the Origin header may say where a browser sends one."""
    token: str | None = field(default=None, repr=False)
    """What every request must bring; None lets everybody in."""

    @classmethod
    def to(
        cls,
        host: str,
        *,
        token: str | None,
        is_insecure: bool = False,
        more_hosts: Sequence[str] = (),
        more_origins: Sequence[str] = (),
    ) -> Access:
        """The access to a gateway that is bound to `host`.

        Raises:
            OpenToEverybody: Others could reach it, and neither a token nor `is_insecure` says that this is meant.
            NoAddress: One of the names cannot be one.
        """
        if "/" in host or (":" in host and not _is_address(host)):
            raise NoAddress("--host", host, "a name or an address alone; the port is --port")
        for name in more_hosts:
            if not _HOST_NAME.fullmatch(name):
                raise NoAddress("--allow-host", name, "NAME or NAME:PORT, without a scheme or a path")
        for origin in more_origins:
            if not _ORIGIN.fullmatch(origin):
                raise NoAddress("--allow-origin", origin, "SCHEME://NAME or SCHEME://NAME:PORT, and nothing behind it")
        if token is None and not is_insecure and not is_loopback(host):
            raise OpenToEverybody(host)
        own = () if host in ANY_ADDRESS else (_in_url(host),)
        names = tuple(dict.fromkeys((*_LOOPBACK_NAMES, *own, *more_hosts)))
        hosts = tuple(allowed for name in names for allowed in _with_any_port(name))
        origins = tuple(f"{scheme}://{allowed}" for scheme in ("http", "https") for allowed in hosts)
        return cls(hosts, (*origins, *more_origins), token)

    def guarding(self, app: ASGIApp, open_paths: Collection[str] = ()) -> ASGIApp:
        """The application behind the checks: first where the request claims to go to, then the token.

        `open_paths` need no token.
        """
        return _HostCheck(self._with_token(app, frozenset(open_paths)), self)

    def _with_token(self, app: ASGIApp, open_paths: frozenset[str]) -> ASGIApp:
        if self.token is None:
            return app
        checked = AuthenticationMiddleware(RequireAuthMiddleware(app, []), _TokenCheck(_OneToken(self.token)))
        return _OpenPaths(open_paths, app, checked) if open_paths else checked


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach that address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def token_from(environ: Mapping[str, str], file: Path | None) -> str | None:
    """The bearer token of the file, else of the environment; None where neither is given.

    Raises:
        TokenFault: It is given, and cannot be used.
    """
    if file is not None:
        return _checked_token(f"the file {str(file)!r}", _text_of(file))
    if TOKEN_VARIABLE in environ:
        if not environ[TOKEN_VARIABLE].strip():
            raise TokenFault(TOKEN_VARIABLE, "is empty; unset the variable if there is to be none")
        return _checked_token(TOKEN_VARIABLE, environ[TOKEN_VARIABLE])
    return None


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise TokenFault(f"the file {str(file)!r}", "cannot be read: there is no such file") from None
    except UnicodeDecodeError:
        raise TokenFault(f"the file {str(file)!r}", "cannot be read: it is not text") from None
    except OSError as error:
        raise TokenFault(f"the file {str(file)!r}", f"cannot be read: {error.strerror}") from None


def _checked_token(source: str, text: str) -> str:
    token = text.strip()
    if not token:
        raise TokenFault(source, "is empty")
    if len(token) < LEAST_TOKEN_CHARACTERS:
        raise TokenFault(source, f"has fewer than {LEAST_TOKEN_CHARACTERS} characters")
    if not all("!" <= character <= "~" for character in token):
        raise TokenFault(source, "holds characters that an HTTP header cannot carry")
    return token


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _with_any_port(name: str) -> tuple[str, ...]:
    has_port = name.rpartition(":")[2].isdigit() and not name.endswith("]")
    return (name,) if has_port else (name, f"{name}:*")


class _OneToken:
    """Knows the one token."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    async def verify_token(self, token: str) -> AccessToken | None:
        if not hmac.compare_digest(token.strip().encode(), self._token):
            return None
        # without the token itself: nobody behind this needs it, and what is not there cannot leak
        return AccessToken(token="", client_id=BEARER, scopes=[])


class _TokenCheck(BearerAuthBackend):
    """Says of a refused request that it was: a client that gets 401 often says no more than that it cannot connect."""

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, AuthenticatedUser] | None:
        found = await super().authenticate(conn)
        if found is None:
            sent = "a wrong" if "authorization" in conn.headers else "no"
            change = (
                f"give the client the header `Authorization: Bearer …`, with what {TOKEN_VARIABLE} or --token-file has"
            )
            log.warning("request_refused", why=f"it brings {sent} bearer token", change=change)
        return found


class _OpenPaths:
    """Leads requests for some paths past the token."""

    def __init__(self, paths: frozenset[str], app: ASGIApp, checked: ASGIApp) -> None:
        self._paths = paths
        self._app = app
        self._checked = checked

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app if scope["path"] in self._paths else self._checked
        await app(scope, receive, send)


class _HostCheck:
    """Refuses requests that a foreign web page made a browser send to us (DNS rebinding)."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._checks = TransportSecurityMiddleware(
            TransportSecuritySettings(allowed_hosts=list(access.hosts), allowed_origins=list(access.origins))
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = await self._checks.validate_request(Request(scope, receive))
        if refusal is None:
            await self._app(scope, receive, send)
            return
        header, option = ("Host", "--allow-host") if refusal.status_code == 421 else ("Origin", "--allow-origin")
        log.warning("request_refused", why=f"its {header} is not one of ours", change=f"{option} lets it in")
        text = f"The {header} header of this request is not allowed here; {option} of the gateway lets it in.\n"
        await PlainTextResponse(text, refusal.status_code)(scope, receive, send)
