"""Calling again after a server was lost in the middle of a call: only what is known to do no harm, and not for ever."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt

from asyncfc_mcp.downstream.outcome import DownstreamLost, DownstreamUnavailable, Outcome
from asyncfc_mcp.downstream.pins import ToolHeld
from asyncfc_mcp.downstream.retrying import delay_s

MOST_ATTEMPTS = 3
"""A call that loses its server that often is more likely what brings it down."""


async def call_repeatedly(call: Callable[[], Awaitable[Outcome]], may_repeat: Callable[[], bool]) -> Outcome:
    """Call until it is not the connection that ends it, ever more slowly, and only as long as `may_repeat` says so.

    Raises:
        DownstreamLost: The connection ended during the call, the last time or an earlier one.
        DownstreamError: As `Connection.call_tool`.
    """
    try:
        return await call()
    except DownstreamLost as error:
        if not may_repeat():
            raise
        lost = error

    async def attempt() -> Outcome:
        nonlocal lost
        try:
            return await call()
        except DownstreamLost as error:
            lost = error
            raise
        except (DownstreamUnavailable, ToolHeld):
            # "The call was not sent" holds for this attempt alone.
            raise lost from None

    def is_worth_it(error: BaseException) -> bool:
        return isinstance(error, DownstreamLost) and may_repeat()

    def pause_s(state: RetryCallState) -> float:
        return delay_s(state.attempt_number + 1)

    await anyio.sleep(delay_s(1))
    attempts = AsyncRetrying(
        retry=retry_if_exception(is_worth_it),
        stop=stop_after_attempt(MOST_ATTEMPTS - 1),
        wait=pause_s,
        sleep=anyio.sleep,
        reraise=True,
    )
    return await attempts(attempt)
