"""Agreeing with a server on a protocol era, and saying in words why a connection failed.

For a modern client the policy is the SDK client's own: ask a modern question first; anything but a clear modern answer
means the legacy handshake. For a legacy client the handshake comes first, and the modern question only where it is
refused.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Literal, cast

import anyio
import httpx2
from mcp.client.session import ClientSession
from mcp.shared.exceptions import MCPError
from mcp_types import (
    CONNECTION_CLOSED,
    UNSUPPORTED_PROTOCOL_VERSION,
    DiscoverResult,
    Implementation,
    InitializedNotification,
    InitializeResult,
    Request,
    UnsupportedProtocolVersionErrorData,
)
from mcp_types.version import (
    HANDSHAKE_PROTOCOL_VERSIONS,
    LATEST_HANDSHAKE_VERSION,
    LATEST_MODERN_VERSION,
    MODERN_PROTOCOL_VERSIONS,
)
from pydantic import ValidationError

from asyncfc_mcp import __version__
from asyncfc_mcp.downstream.claims import EVERYTHING, Claims
from asyncfc_mcp.downstream.exchange import Exchange
from asyncfc_mcp.downstream.links.faults import BROKEN_OFF, NO_ANSWER, NOT_SIGNED_IN, TRANSPORT_FAULTS, UNREACHABLE
from asyncfc_mcp.downstream.links.process import CommandNotFound, WorkingFolderMissing
from asyncfc_mcp.downstream.sign_in.credentials import NotSignedIn
from asyncfc_mcp.errors import GatewayError

_PAUSE_S = 0.25
"""Before a question is asked again; servers of the older era that say 500 to what they do not know wait for it."""

CLIENT_INFO = Implementation(name="asyncfc-mcp", version=__version__)


class _Initialize(Request[dict[str, Any], Literal["initialize"]]):
    """An `initialize` that says all that the client says of itself, known to the SDK or not."""


class Negotiation:
    """Settles what is spoken with one server, connection after connection.

    Some servers of the older era end at whatever comes before the handshake. One whose connection ended at the modern
    question has not said what it speaks, and may just have failed as it started; so the next connection begins with
    the handshake, and the one after that with the question again.
    """

    def __init__(self) -> None:
        self._greets = False

    async def settle(self, session: ClientSession, claims: Claims = EVERYTHING) -> dict[str, Any]:
        """Settle the protocol version of a fresh session in the name of a client; the server's own words, raw.

        Raises:
            MCPError: The server shares no version with us, refused both handshakes, or broke off.
        """
        if claims.era == "legacy" or self._greets:
            self._greets = False
            return await _initialize_first(session, claims)
        try:
            return await _discover_first(session, claims)
        except MCPError as error:
            self._greets = is_closed(error)
            raise


async def _initialize_first(session: ClientSession, claims: Claims) -> dict[str, Any]:
    try:
        return await _insistent(partial(_initialize, session, claims))
    except MCPError as error:
        # Some modern servers name the versions that they speak; others refuse it in words, or a status, of their own.
        if _is_transports(error):
            raise
        version = _newest_mutual(_supported_versions(error)) or LATEST_MODERN_VERSION
        try:
            return await _discover(session, version, claims)
        except MCPError as second:
            raise (second if _is_transports(second) else error) from None
        except ValidationError:
            raise error from None


async def _discover_first(session: ClientSession, claims: Claims) -> dict[str, Any]:
    try:
        return await _insistent(partial(_discover, session, LATEST_MODERN_VERSION, claims))
    except MCPError as error:
        # nobody could have answered; one that is just coming up would answer the next question, and be taken for old
        if is_closed(error) or error.error.data in (NOT_SIGNED_IN, UNREACHABLE):
            raise
        if error.code == UNSUPPORTED_PROTOCOL_VERSION:
            supported = _supported_versions(error)
            if mutual := _newest_mutual(supported):
                return await _discover_or_initialize(session, mutual, claims)
            if supported is not None and not any(version in HANDSHAKE_PROTOCOL_VERSIONS for version in supported):
                raise
    except ValidationError:
        pass  # no evidence of a modern server
    try:
        return await _initialize(session, claims)
    except MCPError as error:
        # A probe that we gave up on may have reached a slow server, which is modern for good then, and says so.
        mutual = _newest_mutual(_supported_versions(error)) if error.code == UNSUPPORTED_PROTOCOL_VERSION else None
        if mutual is None:
            raise
        return await _discover(session, mutual, claims)


async def _discover_or_initialize(session: ClientSession, version: str, claims: Claims) -> dict[str, Any]:
    try:
        return await _insistent(partial(_discover, session, version, claims))
    except MCPError as error:
        if _is_transports(error):
            raise
    except ValidationError:
        pass
    return await _initialize(session, claims)


async def _insistent(ask: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    """Ask once more where no answer came: a proxy may have hung up, or said 5xx, for a server that is coming up."""
    try:
        return await ask()
    except MCPError as error:
        if error.error.data not in (BROKEN_OFF, NO_ANSWER):
            raise
    await anyio.sleep(_PAUSE_S)
    return await ask()


def _is_transports(error: MCPError) -> bool:
    """Whether it stands for what became of the request on its way."""
    return is_closed(error) or error.error.data in TRANSPORT_FAULTS


async def _discover(session: ClientSession, version: str, claims: Claims) -> dict[str, Any]:
    raw = await session.send_discover(version)
    result = DiscoverResult.model_validate(raw)
    if not any(known in MODERN_PROTOCOL_VERSIONS for known in result.supported_versions):
        return await _initialize(session, claims)
    session.adopt(result)
    return raw


async def _initialize(session: ClientSession, claims: Claims) -> dict[str, Any]:
    params = {
        "protocolVersion": LATEST_HANDSHAKE_VERSION,
        "capabilities": _legacy_capabilities(claims),
        "clientInfo": CLIENT_INFO.model_dump(by_alias=True, mode="json", exclude_none=True),
    }
    exchange = Exchange()
    with exchange.recorded():
        result = await session.send_request(_Initialize(method="initialize", params=params), InitializeResult)
    if result.protocol_version not in HANDSHAKE_PROTOCOL_VERSIONS:
        raise RuntimeError(f"it speaks protocol version {result.protocol_version!r}, which is not supported here")
    session.adopt(result)
    await session.send_notification(InitializedNotification())
    return exchange.result or {}


def _legacy_capabilities(claims: Claims) -> dict[str, Any]:
    """All but tasks of the client's own: a server that made some could not ask for them through us."""
    return {name: value for name, value in claims.capabilities.items() if name != "tasks"}


def _supported_versions(error: MCPError) -> list[str] | None:
    data: Any = error.error.data
    try:
        return UnsupportedProtocolVersionErrorData.model_validate(data).supported
    except ValidationError:
        return None


def _newest_mutual(supported: list[str] | None) -> str | None:
    mutual = [version for version in MODERN_PROTOCOL_VERSIONS if version in (supported or ())]
    return mutual[-1] if mutual else None


def is_closed(error: MCPError) -> bool:
    """Whether the error stands for the end of the connection; servers use the same code for errors of their own."""
    return error.code == CONNECTION_CLOSED and error.message == "Connection closed"


def is_lasting(error: BaseException) -> bool:
    """Whether trying again soon cannot help: somebody has to change something first."""
    cause = _first_cause(error)
    if isinstance(cause, MCPError):
        return cause.code == UNSUPPORTED_PROTOCOL_VERSION or cause.error.data == NOT_SIGNED_IN
    return isinstance(cause, CommandNotFound | WorkingFolderMissing | NotSignedIn)


def explanation(error: BaseException, trouble: str | None) -> str:
    """Why a connection failed, in words that hold no address, header or other value."""
    cause = _first_cause(error)
    match cause:
        case GatewayError():
            return str(cause)
        case MCPError() if _is_the_servers_own(cause):
            return f"it refused the handshake: {cause.message} (JSON-RPC error {cause.code})"
        # whatever became of it afterwards is our doing: we hung up
        case RuntimeError() if str(cause).startswith(_VERSION_REFUSED):
            return str(cause)[:_MOST_SHOWN]
        case TimeoutError() | ValidationError():
            return _plain_words(cause)
        case _:
            return trouble or _plain_words(cause)


_VERSION_REFUSED = "Unsupported protocol version"
"""How the SDK begins to say that a server chose a revision which nobody offered."""
_MOST_SHOWN = 200


def _is_the_servers_own(error: MCPError) -> bool:
    return not _is_transports(error) and error.message not in WORDS_FOR_A_STATUS


WORDS_FOR_A_STATUS = frozenset({"Server returned an error response", "Not Found"})
"""What the SDK says of an HTTP status; the transport knows the status itself."""


def _plain_words(cause: BaseException) -> str:
    match cause:
        case TimeoutError():
            return "it did not finish its handshake in time"
        case MCPError():
            return "it closed the connection before it was ready"
        case ValidationError():
            return "its answer to the handshake is malformed"
        case httpx2.HTTPStatusError():
            return f"it answered HTTP {cause.response.status_code} {cause.response.reason_phrase}".rstrip()
        case httpx2.TransportError():
            return f"it cannot be reached ({type(cause).__name__}); start it, or correct its `url`"
        case _:
            return _words_for_a_stranger(cause)


def _words_for_a_stranger(cause: BaseException) -> str:
    if isinstance(cause, OSError) and cause.strerror:
        return f"it cannot be started: {cause.strerror}"
    # A bare RuntimeError is the SDK refusing a protocol version; texts of other kinds may quote an address.
    return str(cause) if type(cause) is RuntimeError else f"it failed with {type(cause).__name__}"


def _first_cause(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        error = group.exceptions[0]
    return error
