"""The two exchanges with an authorization server, a sign-in and a renewal, with the SDK's provider doing the talking.

The provider's flow is driven by hand and never sends the caller's own request: it would hold one lock through the
whole of that request, and wait there for the user. Texts of the SDK and of servers may hold secrets or addresses, so
faults are told in words of our own.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import httpx2
from mcp.client.auth import OAuthClientProvider, OAuthFlowError, OAuthRegistrationError, OAuthTokenError
from mcp.client.auth.utils import (
    extract_field_from_www_auth,
    extract_resource_metadata_from_www_auth,
    extract_scope_from_www_auth,
)
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from pydantic import AnyUrl

from asyncfc_mcp.config.models import OAuthEntry
from asyncfc_mcp.downstream.sign_in.credentials import Credentials, NotSignedIn
from asyncfc_mcp.downstream.sign_in.redirects import RedirectReceiver, receiving
from asyncfc_mcp.errors import GatewayError

VERSION_HEADER = "mcp-protocol-version"
OnOffer = Callable[[str, OAuthClientInformationFull | None], None]
"""Told where the user has to go, and who we are there."""

_TIMEOUT_S = 30.0
_LONG_PAST = 1.0


class NoSignIn(NotSignedIn):
    """A server that refuses us and says nothing of how to sign in."""

    def __init__(self, status: int) -> None:
        super().__init__(
            f"it answered HTTP {status} and offers no way to sign in; give it a header in the configuration: "
            '"headers": {"Authorization": "Bearer …"}'
        )
        self.status = status


class SignInUnusable(NotSignedIn):
    """A sign-in that is offered but does not work."""

    def __init__(self, fault: str) -> None:
        super().__init__(f"its sign-in does not work: {fault}")
        self.fault = fault


class RenewalRefused(NotSignedIn):
    """The authorization server gives no new access token without a new sign-in."""

    def __init__(self) -> None:
        super().__init__("its sign-in has ended; sign in again")


class RenewalPostponed(GatewayError):
    """No new access token right now, for a reason that may pass."""

    def __init__(self, fault: str) -> None:
        super().__init__(f"its sign-in cannot be renewed right now ({fault})")
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Refusal:
    """How a server refused a request for want of rights."""

    status: int
    challenge: str
    """Its `WWW-Authenticate` header, scopes chosen."""
    protocol_version: str | None

    @classmethod
    def of(cls, response: httpx2.Response, scopes: tuple[str, ...]) -> Refusal:
        """What counts of the response; configured `scopes` are asked for first, and what lacks then comes on top."""
        asked = extract_scope_from_www_auth(response)
        fields = {
            "resource_metadata": extract_resource_metadata_from_www_auth(response),
            "error": extract_field_from_www_auth(response, "error"),
            "scope": " ".join(scopes) if scopes and response.status_code == 401 else asked,
        }
        challenge = ", ".join(f'{name}="{value}"' for name, value in fields.items() if value)
        return cls(response.status_code, f"Bearer {challenge}", response.request.headers.get(VERSION_HEADER))

    def on(self, request: httpx2.Request) -> httpx2.Response:
        """The refusal as the answer to another request."""
        return httpx2.Response(self.status, headers={"WWW-Authenticate": self.challenge}, request=request)


def is_refusal(response: httpx2.Response) -> bool:
    """Whether a sign-in, or one with more rights, may change the answer."""
    if response.status_code == 403:
        return extract_field_from_www_auth(response, "error") == "insufficient_scope"
    return response.status_code == 401


class _Notebook:
    """What the provider reads and writes; kept for good by whoever started the exchange."""

    def __init__(self, tokens: OAuthToken | None, client: OAuthClientInformationFull | None) -> None:
        self.tokens = tokens
        self.client = client

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


async def renewed(url: str, kept: Credentials, protocol_version: str | None) -> Credentials:
    """New tokens for a refresh token.

    Raises:
        RenewalRefused: Only a new sign-in helps.
        RenewalPostponed: Later it may work.
    """
    if kept.tokens is None or kept.tokens.refresh_token is None:
        raise RenewalRefused
    notebook = _Notebook(kept.tokens, kept.client)
    provider = OAuthClientProvider(url, OAuthClientMetadata(redirect_uris=None), notebook)
    provider.context.oauth_metadata = kept.authorization_server
    provider.context.protected_resource_metadata = kept.resource
    provider.context.token_expiry_time = _LONG_PAST
    request = _stand_in(url, protocol_version)
    async with _flow(provider, request) as flow, _http_client() as http:
        outgoing = await anext(flow)
        while outgoing is not request:
            try:
                response = await http.send(outgoing)
            except httpx2.TransportError as error:
                raise RenewalPostponed(type(error).__name__) from None
            if response.status_code >= 500 or response.status_code == 429:
                raise RenewalPostponed(f"HTTP {response.status_code}")
            outgoing = await flow.asend(response)
    if notebook.tokens is kept.tokens:
        raise RenewalRefused
    return _credentials(provider, notebook)


async def signed_in(url: str, entry: OAuthEntry, kept: Credentials, refusal: Refusal, on_offer: OnOffer) -> Credentials:
    """The credentials after the user has been to the address that `on_offer` is told.

    Raises:
        NoSignIn: The server offers none.
        NotSignedIn: Any other reason why it did not come to credentials.
    """
    preferred_port = _registered_port(kept.client)
    async with receiving(entry.redirect_uri, preferred_port=preferred_port) as receiver:
        # For more rights than before we register again too: a registration may be for the rights of its time.
        more = refusal.status == 403
        registered = None if more else _registered_for(receiver.uri, kept.client)
        notebook = _Notebook(kept.tokens if more else None, _configured_client(entry, receiver.uri) or registered)
        provider = _interactive_provider(url, notebook, receiver, on_offer)
        request = _stand_in(url, refusal.protocol_version)
        try:
            async with _flow(provider, request) as flow, _http_client() as http:
                await anext(flow)
                outgoing = await flow.asend(refusal.on(request))
                while outgoing is not request:
                    outgoing = await flow.asend(await http.send(outgoing))
        except NotSignedIn:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a server makes of it is that server's fault
            raise _fault(error, provider, refusal) from None
    return _credentials(provider, notebook)


def _interactive_provider(
    url: str, notebook: _Notebook, receiver: RedirectReceiver, on_offer: OnOffer
) -> OAuthClientProvider:
    async def show(authorization_url: str) -> None:
        nonlocal state
        [state] = parse_qs(urlsplit(authorization_url).query)["state"]
        _choose_authentication(provider)
        on_offer(authorization_url, provider.context.client_info)

    async def wait() -> AuthorizationCodeResult:
        return await receiver.answer(state)

    state = ""
    about_us = OAuthClientMetadata(client_name="asyncfc-mcp", redirect_uris=[AnyUrl(receiver.uri)])
    provider = OAuthClientProvider(url, about_us, notebook, redirect_handler=show, callback_handler=wait)
    return provider


def _choose_authentication(provider: OAuthClientProvider) -> None:
    client, server = provider.context.client_info, provider.context.oauth_metadata
    if client is None or client.client_secret is None or client.token_endpoint_auth_method is not None:
        return
    offered = (server.token_endpoint_auth_methods_supported if server else None) or ["client_secret_basic"]
    client.token_endpoint_auth_method = next(
        (method for method in ("client_secret_basic", "client_secret_post") if method in offered), "client_secret_post"
    )


def _configured_client(entry: OAuthEntry, redirect_uri: str) -> OAuthClientInformationFull | None:
    if entry.client_id is None:
        return None
    return OAuthClientInformationFull(
        client_id=entry.client_id, client_secret=entry.client_secret, redirect_uris=[AnyUrl(redirect_uri)]
    )


def _registered_for(redirect_uri: str, client: OAuthClientInformationFull | None) -> OAuthClientInformationFull | None:
    # Many servers compare the whole address, port and all: for another one we have to register again.
    known = [str(uri) for uri in client.redirect_uris or ()] if client else []
    return client if str(AnyUrl(redirect_uri)) in known else None


def _registered_port(client: OAuthClientInformationFull | None) -> int:
    uris = (client.redirect_uris if client else None) or ()
    return next((uri.port for uri in uris if uri.port), 0)


def _fault(error: Exception, provider: OAuthClientProvider, refusal: Refusal) -> NotSignedIn:
    context = provider.context
    if isinstance(error, httpx2.TransportError):
        return SignInUnusable(f"its authorization server cannot be reached ({type(error).__name__})")
    if isinstance(error, OAuthRegistrationError):
        if context.oauth_metadata is None and context.protected_resource_metadata is None:
            return NoSignIn(refusal.status)
        return SignInUnusable("it does not let us register; set oauth.clientId to a client that was registered by hand")
    if isinstance(error, OAuthTokenError):
        return SignInUnusable("it gave no token for the answer that the browser brought")
    if isinstance(error, OAuthFlowError):
        return SignInUnusable("what it says of its authorization server does not fit together")
    return SignInUnusable(f"it failed with {type(error).__name__}")


def _credentials(provider: OAuthClientProvider, notebook: _Notebook) -> Credentials:
    tokens = notebook.tokens
    return Credentials(
        tokens=tokens,
        expires_at=time.time() + tokens.expires_in if tokens and tokens.expires_in is not None else None,
        client=provider.context.client_info,
        authorization_server=provider.context.oauth_metadata,
        resource=provider.context.protected_resource_metadata,
    )


def _stand_in(url: str, protocol_version: str | None) -> httpx2.Request:
    """Takes the place of the refused request, and is never sent."""
    return httpx2.Request("POST", url, headers={VERSION_HEADER: protocol_version} if protocol_version else {})


@asynccontextmanager
async def _flow(
    provider: OAuthClientProvider, request: httpx2.Request
) -> AsyncGenerator[AsyncGenerator[httpx2.Request, httpx2.Response]]:
    flow = provider.async_auth_flow(request)
    try:
        yield flow
    finally:
        await flow.aclose()


def _http_client() -> httpx2.AsyncClient:
    # Not the server's own client: its headers are for nobody else.
    return httpx2.AsyncClient(timeout=_TIMEOUT_S)
