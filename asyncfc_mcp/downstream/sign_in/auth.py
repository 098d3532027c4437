"""Being signed in to one server: the tokens on its requests, renewing them, asking the user when all else fails.

No request ever waits for a person: it fails with the address to go to, while the sign-in waits beside it.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import anyio.abc
import httpx2
import structlog
from mcp.shared.auth import OAuthClientInformationFull

from asyncfc_mcp.config.models import OAuthEntry, RemoteEntry, ServerEntry
from asyncfc_mcp.downstream.sign_in.credentials import Credentials, CredentialStore, NotSignedIn, credential_store
from asyncfc_mcp.downstream.sign_in.flow import (
    VERSION_HEADER,
    Refusal,
    RenewalPostponed,
    RenewalRefused,
    SignInUnusable,
    is_refusal,
    renewed,
    signed_in,
)
from asyncfc_mcp.errors import GatewayError

log = structlog.get_logger(__name__)

SIGN_IN_LIMIT_S = 600.0
_PAUSES_S = (0.0, 0.2, 0.5)
"""Before it is looked whether another gateway was faster with a renewal that we were refused."""
_RENEWAL_LIMIT_S = 60.0
_TOKENS_TRIED = 3


class SignInNeeded(NotSignedIn):
    """Nothing goes on with this server until the user has been to an address."""

    def __init__(self, url: str) -> None:
        super().__init__(f"it needs you to sign in: {url}")
        self.url = url


class SignInTimedOut(NotSignedIn):
    """The user did not come, or the authorization server did not send them back."""

    def __init__(self, limit_s: float) -> None:
        super().__init__(f"nobody signed in within {limit_s:g} s")


class SignInClosed(NotSignedIn):
    """Asked while the gateway ends."""

    def __init__(self) -> None:
        super().__init__("it needs you to sign in, and the gateway is ending")


class _Offer:
    """One sign-in that waits for the user."""

    def __init__(self) -> None:
        self.scope = anyio.CancelScope()
        self.is_known = anyio.Event()
        """Set when there is an address or a failure."""
        self.url: str | None = None
        self.failure: GatewayError | None = None

    def reason(self) -> GatewayError:
        """Why a request cannot go on."""
        return self.failure or (SignInNeeded(self.url) if self.url else SignInClosed())


class _Renewal:
    """One exchange of a refresh token, for all who wait for it."""

    def __init__(self) -> None:
        self.is_over = anyio.Event()
        self.failure: GatewayError | None = None


class SignIn(httpx2.Auth):
    """Puts the access token on each request to one server; all connections to that server share it.

    Requests raise a GatewayError for want of a token; they were not sent then, or were refused.
    """

    def __init__(
        self,
        server: str,
        url: str,
        entry: OAuthEntry,
        store: CredentialStore,
        *,
        limit_s: float = SIGN_IN_LIMIT_S,
    ) -> None:
        self._server = server
        self._url = url
        self._entry = entry
        self._store = store
        self._limit_s = limit_s
        self._kept = Credentials()
        self._is_loaded = False
        self._loading = anyio.Lock()
        self._offer: _Offer | None = None
        self._renewal: _Renewal | None = None
        self._protocol_version: str | None = None
        self._is_newly_registered = False
        self._tasks: anyio.abc.TaskGroup | None = None
        self.on_signed_in: list[Callable[[], None]] = []
        """Called after each sign-in that came to a good end."""

    @property
    def is_waiting(self) -> bool:
        """Whether the user has been told where to go, and has not been there yet."""
        return self._offer is not None and self._offer.url is not None

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Own what goes on beside requests, until cancelled."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            task_status.started()
            try:
                await anyio.sleep_forever()
            finally:
                self._tasks = None

    async def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """Send with a token; on a refusal once more with a new one.

        Raises:
            SignInNeeded: The user has to sign in first.
            RenewalPostponed: There is no new token right now.
            GatewayError: The sign-in does not work, or is not offered.
        """
        self._protocol_version = request.headers.get(VERSION_HEADER, self._protocol_version)
        token = await self._token()
        _put(token, request)
        response = yield request
        tried = 1
        while response.status_code == 401 and await self._has_other_than(token):
            if tried == _TOKENS_TRIED:
                # Renewing works, and what it gives does not: only the user can change that.
                await self._keep(self._kept.signed_out())
                break
            token = self._kept.access_token
            _put(token, request)
            response = yield request
            tried += 1
        if is_refusal(response):
            raise await self._reason_to_refuse(Refusal.of(response, self._entry.scopes))

    async def _token(self) -> str | None:
        await self._look_for_credentials()
        if self._kept.tokens is None and self._offer is not None and self._offer.is_known.is_set():
            raise self._offer.reason()
        expires_at = self._kept.expires_at
        if expires_at is not None and expires_at <= time.time():
            await self._renew()
        return self._kept.access_token

    async def _look_for_credentials(self) -> None:
        """Load what is kept; a server that lets us in without needs no second look."""
        if not self._is_loaded or self._offer is not None:
            await self._load()

    async def _load(self) -> None:
        """Load what is kept; also what another process of this user has kept since, if we have nothing."""
        async with self._loading:
            if self._is_loaded and self._kept.tokens is not None:
                return
            stored = self._fitting(await self._store.load())
            if stored.tokens is not None or not self._is_loaded:
                self._kept = stored
            self._is_loaded = True
        if self._kept.tokens is not None and self._offer is not None:
            self._offer.scope.cancel()

    def _fitting(self, stored: Credentials) -> Credentials:
        wanted = self._entry.client_id
        is_ours = wanted is None or (stored.client is not None and stored.client.client_id == wanted)
        return stored if is_ours else Credentials()

    async def _has_other_than(self, token: str | None) -> bool:
        """Whether there is another access token than the refused one, by now or after a renewal."""
        if self._kept.tokens is None:
            await self._load()
        if token is None or self._kept.access_token != token:
            return self._kept.access_token not in (None, token)
        await self._renew()
        return self._kept.access_token not in (None, token)

    async def _renew(self) -> None:
        """Wait for the renewal that is under way, or a new one; a caller that is cancelled does not end it."""
        renewal = self._renewal
        if renewal is None:
            if self._tasks is None:
                raise SignInClosed
            renewal = self._renewal = _Renewal()
            self._tasks.start_soon(self._carry_out_renewal, renewal)
        await renewal.is_over.wait()
        if renewal.failure is not None:
            raise renewal.failure

    async def _carry_out_renewal(self, renewal: _Renewal) -> None:
        try:
            with anyio.fail_after(_RENEWAL_LIMIT_S):
                if await self._takes_over():
                    return
                await self._keep(await renewed(self._url, self._kept, self._protocol_version))
        except RenewalRefused:
            if not await self._takes_over_soon():
                log.warning("sign_in_expired", server=self._server)
                await self._keep(self._kept.signed_out())
        except RenewalPostponed as error:
            renewal.failure = error
        except Exception as error:  # noqa: BLE001 - one server's odd answer must not end what all servers share
            renewal.failure = RenewalPostponed(type(error).__name__)
        finally:
            self._renewal = None
            renewal.is_over.set()

    async def _takes_over(self) -> bool:
        """Whether another gateway of this user has kept newer tokens; ours may be good for nothing then."""
        stored = self._fitting(await self._store.load())
        if stored.access_token in (None, self._kept.access_token):
            return False
        self._kept = stored
        return True

    async def _takes_over_soon(self) -> bool:
        """As `_takes_over`, for one that renewed at the same moment and may not have kept what it got yet."""
        for pause_s in _PAUSES_S:
            await anyio.sleep(pause_s)
            if await self._takes_over():
                return True
        return False

    async def _reason_to_refuse(self, refusal: Refusal) -> GatewayError:
        """Offer a sign-in, or point to the one that is offered already."""
        offer = self._offer
        if offer is None:
            if self._tasks is None:
                return SignInClosed()
            offer = self._offer = _Offer()
            self._tasks.start_soon(self._carry_out, offer, refusal)
        await offer.is_known.wait()
        return offer.reason()

    async def _carry_out(self, offer: _Offer, refusal: Refusal) -> None:
        def tell(url: str, client: OAuthClientInformationFull | None) -> None:
            offer.url = url
            offer.is_known.set()
            if self._kept.tokens is None and client != self._kept.client:
                self._kept = self._kept.model_copy(update={"client": client})
                self._is_newly_registered = True
            log.warning("sign_in_needed", server=self._server, url=url)

        try:
            with offer.scope:
                try:
                    with anyio.fail_after(self._limit_s):
                        await self._keep(await signed_in(self._url, self._entry, self._kept, refusal, tell))
                except TimeoutError:
                    raise SignInTimedOut(self._limit_s) from None
                except OSError as error:
                    raise SignInUnusable(f"nothing can listen for its answer ({type(error).__name__})") from None
        except GatewayError as error:
            offer.failure = error
            if offer.url is not None:  # else nobody has heard of it, and whoever asked says why it failed
                log.warning("sign_in_failed", server=self._server, why=str(error))
            await self._doubt_registration(error)
            return
        finally:
            self._offer = None
            offer.is_known.set()
        log.info("signed_in", server=self._server)
        for listener in self.on_signed_in:
            listener()

    async def _doubt_registration(self, error: GatewayError) -> None:
        """Have the next try register again, where an old registration may be what is wrong."""
        # A new one outlives users who do not come, or each offer would leave another one behind over there.
        is_doubtful = not self._is_newly_registered or not isinstance(error, SignInTimedOut)
        if is_doubtful and self._kept.tokens is None and self._kept.client is not None:
            self._is_newly_registered = False
            await self._keep(Credentials())

    async def _keep(self, credentials: Credentials) -> None:
        self._kept = credentials
        await self._store.save(credentials)


def sign_in_for(entry: ServerEntry, state_folder: Path | None) -> SignIn | None:
    """How requests to this server sign in; None for one that is not remote or has credentials in its entry."""
    transport = entry.transport
    if not isinstance(transport, RemoteEntry) or transport.oauth is None or has_credentials(transport):
        return None
    store = credential_store(entry.key, transport.url, state_folder)
    return SignIn(entry.key, transport.url, transport.oauth, store)


def has_credentials(transport: RemoteEntry) -> bool:
    """Whether the entry itself says who we are."""
    parts = urlsplit(transport.url)
    return any(name.lower() == "authorization" for name in transport.headers) or parts.username is not None


def _put(token: str | None, request: httpx2.Request) -> None:
    if token is not None:
        request.headers["Authorization"] = f"Bearer {token}"
