"""One call through a gateway, watched from its start to its end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any, cast

import anyio
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, TextContent, TextResourceContents

Raw = dict[str, Any]

_SETTLED = frozenset({"resolved", "failed", "cancelled"})
_UNTIL_SETTLED_S = 3600.0
"""More than a gateway lets one request wait; it cuts it to what it allows."""


@dataclass(frozen=True, slots=True)
class Sight:
    """How the future stood at one moment."""

    after_s: float
    """Since the call was sent."""
    token: str | None
    state: str
    """One of the states of futures, or `progress`."""
    words: str = ""
    """Why it waits, how far it is, or why it failed."""


@dataclass
class Watch:
    """A call under way; `show` is told of each change."""

    client: Client
    show: Callable[[Sight], None]
    token: str | None = None
    """None until the gateway has given one; a call that waits for its value gets none."""
    _meta: Raw = field(default_factory=lambda: {"asyncfc/scope": f"cli-{token_hex(6)}"})
    """A scope of its own, so that nothing of other calls is attached and nothing waits behind them."""
    _sent_at: float = field(default_factory=time.monotonic)
    _last: Sight | None = None

    async def start(self, tool: str, arguments: Raw) -> CallToolResult | None:
        """Make the call; its result, if it has one at once and no token."""
        self._sent_at = time.monotonic()
        try:
            answer = await self._call(tool, arguments)
        except MCPError as error:  # what a server refuses at once comes as it was said, and is a result all the same
            answer = CallToolResult(content=[TextContent(text=error.message)], is_error=True)
        self.token = _token_in(answer)
        if self.token is not None:
            return None
        self._note("failed" if answer.is_error else "resolved", "")
        return answer

    async def result(self) -> CallToolResult:
        """Wait for the result that the token stands for."""
        uri = f"future://{self.token}"
        answers: list[CallToolResult] = []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._follow, uri)
            answers.append(await self._awaited(uri))
            tasks.cancel_scope.cancel()
        return answers[0]

    async def cancel(self) -> None:
        """Cancel the call."""
        if self.token is not None:
            await self._call("cancel_future", {"futures": [self.token], "reason": "cancelled on the command line"})
            await self._look(f"future://{self.token}")

    async def _awaited(self, uri: str) -> CallToolResult:
        while True:
            has_settled = await self._look(uri) in _SETTLED
            # asked for at the end too: that is the answer with the value, where an earlier one may be a time-out
            answer = await self._call("await_future", {"futures": [self.token], "timeout_s": _UNTIL_SETTLED_S})
            if has_settled:
                return answer

    async def _call(self, tool: str, arguments: Raw) -> CallToolResult:
        meta: Any = self._meta
        return await self.client.call_tool(tool, arguments, meta=meta, progress_callback=self._note_progress)

    async def _follow(self, uri: str) -> None:
        async with self.client.listen(resource_subscriptions=[uri]) as changes:
            async for _ in changes:
                await self._look(uri)

    async def _look(self, uri: str) -> str:
        read = await self.client.read_resource(uri, meta=cast("Any", self._meta))
        described: Raw = json.loads(cast("TextResourceContents", read.contents[0]).text)
        state: str = described["state"]
        failure: Raw = described.get("failure") or {}
        waits = described.get("waits")
        words = f"it waits {waits}" if waits else str(failure.get("message", ""))
        self._note(state, words)
        return state

    async def _note_progress(self, progress: float, total: float | None, message: str | None) -> None:
        amount = f"{progress:g} of {total:g}" if total is not None else f"{progress:g}"
        self._note("progress", f"{amount}{f': {message}' if message else ''}")

    def _note(self, state: str, words: str) -> None:
        sight = Sight(time.monotonic() - self._sent_at, self.token, state, words)
        last = self._last
        if last is None or (last.state, last.words) != (state, words):
            self._last = sight
            self.show(sight)


def _token_in(answer: CallToolResult) -> str | None:
    future: Any = (answer.meta or {}).get("asyncfc/future")
    return cast("Raw", future)["token"] if isinstance(future, dict) else None
