"""Where the browser brings the answer of a sign-in: a listener on the loopback that lives as long as one sign-in."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from functools import partial
from urllib.parse import parse_qsl, urlsplit

import anyio
import anyio.abc
import h11
from mcp.shared.auth import AuthorizationCodeResult

from asyncfc_mcp.downstream.sign_in.credentials import NotSignedIn

_VISIT_LIMIT_S = 10.0
_PATH = "/callback"
_ADDRESS = "127.0.0.1"
"""Also for `localhost`: every browser tries it, and nothing outside this machine reaches it."""

_DONE = "You are signed in. You can close this page."
_REFUSED = "The sign-in was refused. You can close this page."
_STRANGE = "This does not belong to a sign-in that is under way."


class RedirectPortTaken(NotSignedIn):
    """The configured port cannot be had."""

    def __init__(self, port: int) -> None:
        super().__init__(
            f"its sign-in needs port {port} on this machine, and that is taken: free it, or change oauth.redirectUri"
        )
        self.port = port


class SignInRefused(NotSignedIn):
    """The authorization server, or the user there, said no."""

    def __init__(self, error: str) -> None:
        printable = "".join(character for character in error if character.isprintable())[:60]
        super().__init__(f"its sign-in was refused ({printable})")
        self.error = printable


class RedirectReceiver:
    """Takes one answer."""

    def __init__(self, listener: anyio.abc.Listener[anyio.abc.SocketStream], uri: str) -> None:
        self._listener = listener
        self._path = urlsplit(uri).path
        self.uri = uri
        self._answer: AuthorizationCodeResult | SignInRefused | None = None
        self._answered = anyio.Event()

    async def answer(self, state: str) -> AuthorizationCodeResult:
        """Wait for the answer to the sign-in of this `state`; other visitors are turned away.

        Raises:
            SignInRefused: That is the answer.
        """
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._listener.serve, partial(self._receive, state))
            await self._answered.wait()
            tasks.cancel_scope.cancel()
        if isinstance(self._answer, AuthorizationCodeResult):
            return self._answer
        raise self._answer or SignInRefused("no answer")

    async def _receive(self, state: str, stream: anyio.abc.SocketStream) -> None:
        broken = (OSError, anyio.BrokenResourceError, anyio.EndOfStream, h11.ProtocolError)
        answer = None
        with suppress(*broken), anyio.move_on_after(_VISIT_LIMIT_S):
            async with stream:
                wire = h11.Connection(h11.SERVER)
                request = await _request(stream, wire)
                answer = self._meaning(request, state) if request else None
                await stream.send(_page(wire, answer))
        # After the page has left, since this ends the listener and all who still visit it.
        if answer is not None:
            self._answer = answer
            self._answered.set()

    def _meaning(self, request: h11.Request, state: str) -> AuthorizationCodeResult | SignInRefused | None:
        target = urlsplit(request.target.decode("ascii"))
        if request.method != b"GET" or target.path != self._path:
            return None
        query = dict(parse_qsl(target.query))
        if not secrets.compare_digest(query.get("state", "").encode(), state.encode()):
            return None
        if "code" in query:
            return AuthorizationCodeResult(code=query["code"], state=state, iss=query.get("iss"))
        return SignInRefused(query.get("error", "no code"))


@asynccontextmanager
async def receiving(uri: str | None, *, preferred_port: int = 0) -> AsyncGenerator[RedirectReceiver]:
    """Listen where `uri` says, else on the preferred port if it is free, else on any.

    Raises:
        RedirectPortTaken: The port of `uri` cannot be had.
    """
    port = (urlsplit(uri).port if uri else None) or preferred_port
    try:
        listener = await anyio.create_tcp_listener(local_host=_ADDRESS, local_port=port)
    except OSError:
        if uri is not None:
            raise RedirectPortTaken(port) from None
        listener = await anyio.create_tcp_listener(local_host=_ADDRESS)
    async with listener:
        port = listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610 - not Django's
        yield RedirectReceiver(listener, uri or f"http://{_ADDRESS}:{port}{_PATH}")


async def _request(stream: anyio.abc.SocketStream, wire: h11.Connection) -> h11.Request | None:
    while (event := wire.next_event()) is h11.NEED_DATA:
        wire.receive_data(await stream.receive())
    return event if isinstance(event, h11.Request) else None


def _page(wire: h11.Connection, answer: AuthorizationCodeResult | SignInRefused | None) -> bytes:
    text = _STRANGE if answer is None else _REFUSED if isinstance(answer, SignInRefused) else _DONE
    body = text.encode()
    headers = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
        ("Referrer-Policy", "no-referrer"),
        ("Connection", "close"),
    ]
    parts = (
        wire.send(h11.Response(status_code=404 if answer is None else 200, headers=headers)),
        wire.send(h11.Data(data=body)),
        wire.send(h11.EndOfMessage()),
    )
    return b"".join(part or b"" for part in parts)
