"""Whether a child that says nothing is still there: it is asked, and replaced when it does not answer.

For pipes alone. A frozen process keeps them open, so that calls would go to it until their time-outs; a server at an
address that vanishes is noticed by TCP itself.
"""

from __future__ import annotations

import time
from typing import Protocol

import anyio
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from asyncfc_mcp.downstream.links.link import Hearing
from asyncfc_mcp.downstream.patience import Patience
from asyncfc_mcp.downstream.sending import Live, RawRequest, Unread
from asyncfc_mcp.errors import GatewayError


class Unresponsive(GatewayError):
    """A server that had nothing to do and did not answer."""

    def __init__(self, silent_s: float) -> None:
        super().__init__(f"it did not answer for {silent_s:.0f} s although nothing was asked of it, and is replaced")
        self.silent_s = silent_s


class Board(Protocol):
    """Where it is written down how a server stands."""

    def note_silence(self, message: str, *, holds_calls: bool) -> None:
        """It does not answer; with `holds_calls` no further call is to be sent to it until it does."""
        ...

    def note_life(self) -> None:
        """It answers again."""
        ...


class Vigil:
    """Watches over one connection to a child."""

    def __init__(self, live: Live, hearing: Hearing, board: Board, patience: Patience) -> None:
        self._live = live
        self._hearing = hearing
        self._board = board
        self._patience = patience

    async def run(self) -> None:
        """Ask whenever it has been quiet for long, until cancelled.

        Raises:
            Unresponsive: It has to be replaced.
        """
        await self._quiet_for(self._patience.first_quiet_s)
        # Without a limit: a server that answers no question of this kind is not judged by it.
        await self._ask()
        while True:
            await self._quiet_for(self._patience.quiet_s)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._ask)
                if not await self._says_anything_within(self._patience.answer_limit_s):
                    await self._wait_for_life()
                tasks.cancel_scope.cancel()

    async def _quiet_for(self, seconds: float) -> None:
        while (left_s := self._hearing.at + seconds - time.monotonic()) > 0:  # noqa: ASYNC110 - time is waited for
            await anyio.sleep(left_s)

    async def _ask(self) -> None:
        is_modern = self._live.session.protocol_version in MODERN_PROTOCOL_VERSIONS
        question = RawRequest(method="server/discover", params={}) if is_modern else RawRequest(method="ping")
        try:
            await self._live.session.send_request(question, Unread)
        except (MCPError, ValidationError):
            return  # a refusal is a sign of life too

    async def _says_anything_within(self, seconds: float) -> bool:
        before = self._hearing.at
        with anyio.move_on_after(seconds):
            await self._hearing.next()
        return self._hearing.at != before  # it may have come in the very turn in which the time was over

    async def _wait_for_life(self) -> None:
        is_silent = True
        while is_silent:
            is_idle = self._live.dispatcher.is_idle
            self._board.note_silence(self._in_words(is_idle=is_idle), holds_calls=is_idle)
            is_silent = not await self._says_anything_within(self._patience.replace_after_s)
            if is_silent and is_idle:
                raise Unresponsive(self._silent_s)
        self._board.note_life()

    @property
    def _silent_s(self) -> float:
        return time.monotonic() - self._hearing.at

    def _in_words(self, *, is_idle: bool) -> str:
        silence = f"it has said nothing for {self._silent_s:.0f} s and does not answer"
        if is_idle:
            return f"{silence}; calls wait until it does, or has been replaced"
        # Servers of one thread cannot answer while they work, so it is never ended for that.
        return f"{silence}; it may be busy with its calls, and is left alone"
