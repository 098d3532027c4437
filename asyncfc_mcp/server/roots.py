"""The folders of the only client, for servers that ask for them while none of their calls runs.

A client with a handshake is asked at once (`server.sessions`). One without cannot be asked outside of a request of its
own, so the server is refused first; the next call to it asks the client, and then the server is told to ask again. What
is asked in the course of a call is put to the client as ever (`gateway.questions.asking`).
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import anyio
import structlog

from asyncfc_mcp.downstream.outcome import InputRefused
from asyncfc_mcp.downstream.pool import Pool
from asyncfc_mcp.gateway.caller import Caller
from asyncfc_mcp.server.doorway import Doorway
from asyncfc_mcp.server.sessions import Sessions

ASKS_AGAIN_S = 2.0
"""How long calls wait for their server to ask again."""
TAKES_IN_S = 0.1
"""How long they wait after that: a server does not say when it has taken roots in, which may mean a look at each."""
_METHOD = "roots/list"

log = structlog.get_logger()


@dataclass(slots=True, eq=False)
class _Refused:
    """A server that asked when the client could not be."""

    key: str = field(default_factory=lambda: f"roots_{secrets.token_hex(4)}")
    """Of the input request with which the client is asked."""
    is_told: bool = False
    """Whether it was told that asking again is worth it."""
    has_them: anyio.Event = field(default_factory=anyio.Event)
    is_over: anyio.Event = field(default_factory=anyio.Event)
    """Whether calls need not wait any more."""


class Roots:
    """Knows the roots of the only client once it has said them; with several clients, nothing.

    Args:
        pool: reaches the servers.
        sessions: asks a client with a handshake.
        doorway: whether there is but one client.
    """

    def __init__(self, pool: Pool, sessions: Sessions, doorway: Doorway) -> None:
        self._pool = pool
        self._sessions = sessions
        self._doorway = doorway
        self._known: dict[str, Any] | None = None
        self._refused: dict[str, _Refused] = {}
        self._keys: set[str] = set()
        self._withheld: set[str] = set()
        """Servers for which the client was asked, and went on without an answer."""

    async def answer_outside(self, server: str, method: str, params: Mapping[str, Any] | None) -> dict[str, Any]:
        """Answer what a server asks while it runs no call.

        Raises:
            InputRefused, ClientGone: as `Sessions.answer_outside`.
        """
        if method == _METHOD and self._known is not None:
            if server in self._refused:
                self._refused[server].has_them.set()
            return self._known
        try:
            return await self._sessions.answer_outside(server, method, params)
        except InputRefused:
            if method == _METHOD and self._doorway.only_session is not None and server not in self._withheld:
                self._keys.add(self._refused.setdefault(server, _Refused()).key)
            raise

    async def before_call(
        self, caller: Caller, server: str, state: Mapping[str, Any], responses: Mapping[str, Any]
    ) -> dict[str, Any] | None:
        """See that a server which was refused has the roots before it is called.

        Args:
            caller: who calls.
            server: its key.
            state: what the client sent back with its answers, if it did.
            responses: its answers, of which those to other questions are left to others.

        Returns:
            What the client is to be asked first; None where the call can go on.
        """
        refused = self._refused.get(server)
        if refused is None:
            return None
        if self._known is not None:
            await self._hand_over(caller, server, refused)
        elif is_answer(state) or refused.key in responses:
            del self._refused[server]
            self._withheld.add(server)
            log.info("roots_withheld", server=server)
        elif not (state or responses) and caller.claims.era == "modern" and caller.claims.can_answer(_METHOD, None):
            return {
                "resultType": "input_required",
                "inputRequests": {refused.key: {"method": _METHOD, "params": {}}},
                "requestState": json.dumps({"roots_of": server}),
            }
        return None

    def note(self, responses: Mapping[str, Any]) -> None:
        """Keep the newest roots that the client has said, in answer to whichever question."""
        if self._doorway.only_session is None:
            return
        for response in responses.values():
            if isinstance(response, dict) and isinstance(cast("dict[str, Any]", response).get("roots"), list):
                self._known = cast("dict[str, Any]", response)

    def others(self, responses: Mapping[str, Any]) -> dict[str, Any]:
        """The answers that are none to what is asked here."""
        return {key: response for key, response in responses.items() if key not in self._keys}

    async def _hand_over(self, caller: Caller, server: str, refused: _Refused) -> None:
        if refused.is_told:
            await refused.is_over.wait()
            return
        refused.is_told = True
        connection = self._pool.connection(server, caller.claims)
        try:
            with anyio.move_on_after(ASKS_AGAIN_S):
                await connection.notify("notifications/roots/list_changed")
                if connection.is_legacy:  # one that is down will ask as it comes up
                    await refused.has_them.wait()
                    await anyio.sleep(TAKES_IN_S)
        finally:
            del self._refused[server]
            refused.is_over.set()


def is_answer(state: Mapping[str, Any]) -> bool:
    """Whether the client comes back from being asked for roots here, which makes its request a fresh call."""
    return "roots_of" in state
