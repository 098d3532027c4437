"""An authorization server and an MCP server behind it, in this process, and a browser for its user."""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Literal

import anyio
import httpx2
import uvicorn
from mcp.server.auth.provider import (
    AccessToken,
    AuthorizationCode,
    AuthorizationParams,
    OAuthAuthorizationServerProvider,
    RefreshToken,
    TokenError,
    construct_redirect_uri,
)
from mcp.server.auth.settings import AuthSettings, ClientRegistrationOptions
from mcp.server.mcpserver import MCPServer
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken
from pydantic import AnyHttpUrl
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

Kind = Literal["http", "json", "sse"]


class Authority(OAuthAuthorizationServerProvider[AuthorizationCode, RefreshToken, AccessToken]):
    """Gives codes and tokens to all who register, and counts what it is asked."""

    def __init__(self) -> None:
        self.clients: dict[str, OAuthClientInformationFull] = {}
        self.codes: dict[str, AuthorizationCode] = {}
        self.tokens: dict[str, AccessToken] = {}
        self.renewable: dict[str, RefreshToken] = {}
        self.lifetime_s = 3600
        """Of the next tokens only."""
        self.consents = True
        self.renews = True
        self.renewals = 0
        self.scopes_asked: list[list[str] | None] = []

    def forget_tokens(self) -> None:
        """End every access token at once, as at its end of life."""
        self.tokens.clear()

    async def get_client(self, client_id: str) -> OAuthClientInformationFull | None:
        return self.clients.get(client_id)

    async def register_client(self, client_info: OAuthClientInformationFull) -> None:
        self.clients[client_info.client_id] = client_info

    async def authorize(self, client: OAuthClientInformationFull, params: AuthorizationParams) -> str:
        self.scopes_asked.append(params.scopes)
        if not self.consents:
            return construct_redirect_uri(str(params.redirect_uri), error="access_denied", state=params.state)
        code = AuthorizationCode(
            code=secrets.token_hex(16),
            client_id=client.client_id,
            scopes=params.scopes or ["use"],
            expires_at=time.time() + 300,
            code_challenge=params.code_challenge,
            redirect_uri=params.redirect_uri,
            redirect_uri_provided_explicitly=params.redirect_uri_provided_explicitly,
            resource=params.resource,
        )
        self.codes[code.code] = code
        return construct_redirect_uri(str(params.redirect_uri), code=code.code, state=params.state)

    async def load_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: str
    ) -> AuthorizationCode | None:
        return self.codes.get(authorization_code)

    async def exchange_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: AuthorizationCode
    ) -> OAuthToken:
        del self.codes[authorization_code.code]
        return self._mint(client.client_id, authorization_code.scopes, authorization_code.resource)

    async def load_refresh_token(self, client: OAuthClientInformationFull, refresh_token: str) -> RefreshToken | None:
        return self.renewable.get(refresh_token)

    async def exchange_refresh_token(
        self, client: OAuthClientInformationFull, refresh_token: RefreshToken, scopes: list[str]
    ) -> OAuthToken:
        self.renewals += 1
        if not self.renews:
            raise TokenError("invalid_grant")
        # Each refresh token is good for one renewal, as OAuth 2.1 wants it of public clients.
        del self.renewable[refresh_token.token]
        return self._mint(client.client_id, scopes, refresh_token.resource)

    async def load_access_token(self, token: str) -> AccessToken | None:
        return self.tokens.get(token)

    async def revoke_token(self, token: AccessToken | RefreshToken) -> None:
        self.tokens.pop(token.token, None)

    def _mint(self, client_id: str, scopes: list[str], resource: str | None) -> OAuthToken:
        lifetime_s, self.lifetime_s = self.lifetime_s, 3600
        access, refresh = f"access-{secrets.token_hex(16)}", f"refresh-{secrets.token_hex(16)}"
        self.tokens[access] = AccessToken(token=access, client_id=client_id, scopes=scopes, resource=resource)
        self.renewable[refresh] = RefreshToken(token=refresh, client_id=client_id, scopes=scopes, resource=resource)
        return OAuthToken(access_token=access, refresh_token=refresh, expires_in=lifetime_s, scope=" ".join(scopes))


class House:
    """Both servers, at one address."""

    def __init__(self, base: str, kind: Kind) -> None:
        self.authority = Authority()
        self.kind: Kind = kind
        self.url = f"{base}/{'sse' if kind == 'sse' else 'mcp'}"
        self.waiting = 0
        self.let_go = anyio.Event()
        self.refused = 0
        """Requests to the MCP server that were answered with 401."""
        self.broken_status: int | None = None
        """What the token end point answers instead, if anything."""
        self._base = base

    def app(self) -> ASGIApp:
        settings = AuthSettings(
            issuer_url=AnyHttpUrl(self._base),
            resource_server_url=AnyHttpUrl(self.url),
            required_scopes=["use"],
            client_registration_options=ClientRegistrationOptions(
                enabled=True, valid_scopes=["use", "more"], default_scopes=["use"]
            ),
            validate_token_resource=True,
        )
        server = MCPServer("house", auth=settings, auth_server_provider=self.authority)

        @server.tool()
        async def echo(text: str) -> str:
            return text

        @server.tool()
        async def wait() -> str:
            self.waiting += 1
            await self.let_go.wait()
            return "waited"

        if self.kind == "sse":
            return self._counting(server.sse_app())
        return self._counting(server.streamable_http_app(json_response=self.kind == "json"))

    def _counting(self, app: ASGIApp) -> ASGIApp:
        async def counting(scope: Scope, receive: Receive, send: Send) -> None:
            async def count(message: dict[str, object]) -> None:
                self.refused += message.get("status") == 401
                await send(message)

            if scope["type"] == "http" and scope["path"] == "/token" and self.broken_status is not None:
                await Response("broken", self.broken_status)(scope, receive, send)
            else:
                await app(scope, receive, count)  # pyright: ignore[reportArgumentType]

        return counting


class _Quiet(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield  # signals are the test runner's


@asynccontextmanager
async def served(app: ASGIApp, listener: socket.socket) -> AsyncGenerator[None]:
    server = _Quiet(uvicorn.Config(app, log_config=None, ws="none", timeout_graceful_shutdown=1))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve, [listener])
        try:
            yield
        finally:
            server.should_exit = True


@asynccontextmanager
async def opened(kind: Kind = "http") -> AsyncGenerator[House]:
    """A house that is open for visitors."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        house = House(f"http://127.0.0.1:{listener.getsockname()[1]}", kind)
        async with served(house.app(), listener):
            yield house


async def browse(url: str) -> httpx2.Response:
    """What the user's browser does at the address of a sign-in."""
    async with httpx2.AsyncClient(follow_redirects=True) as browser:
        return await browser.get(url)
