"""What a downstream call gave: the result as the server sent it, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from asyncfc_mcp.core.size import size_of
from asyncfc_mcp.core.value import MISSING
from asyncfc_mcp.errors import GatewayError


@dataclass(frozen=True)
class Outcome:
    """The answer to a `tools/call`."""

    result: dict[str, Any]
    """The CallToolResult of the wire: camelCase keys, unknown fields kept."""

    @property
    def is_error(self) -> bool:
        """Whether the tool says that it failed."""
        return self.result.get("isError") is True

    @cached_property
    def text(self) -> str | None:
        """The text blocks, joined by newlines; None when there are none."""
        texts = [block["text"] for block in self._blocks if block.get("type") == "text"]
        return "\n".join(texts) if texts else None

    @property
    def has_structured(self) -> bool:
        """Whether the server gave `structuredContent`."""
        return self.result.get("structuredContent") is not None

    @property
    def structured(self) -> Any:
        """`structuredContent`, or MISSING."""
        return self.result["structuredContent"] if self.has_structured else MISSING

    @property
    def block_types(self) -> tuple[str, ...]:
        """The types of the content blocks, in order."""
        return tuple(str(block.get("type")) for block in self._blocks)

    @cached_property
    def size_bytes(self) -> int:
        """About how much memory or wire the result takes: the lengths of its strings and a little for the rest."""
        return size_of(self.result)

    @property
    def _blocks(self) -> list[dict[str, Any]]:
        return self.result.get("content") or []


class DownstreamError(GatewayError):
    """A downstream call that gave no result."""


class DownstreamLost(DownstreamError):
    """The connection ended while the call ran."""

    def __init__(self, server: str, tool: str) -> None:
        super().__init__(
            f"the connection to server {server!r} ended while {tool!r} was running; the call may have taken effect: "
            "check before calling again"
        )
        self.server = server
        self.tool = tool


class DownstreamUnavailable(DownstreamError):
    """The call was never sent, because its server is not connected."""

    def __init__(self, server: str, reason: str, next_try_s: float | None, *, is_given_up: bool = False) -> None:
        when = "" if not next_try_s else f" in {next_try_s:.0f} s"
        if is_given_up:
            later = f"; a call{when or ' now'} tries it again"
        else:
            later = "" if next_try_s is None else f"; it is tried again{when or ' now'}"
        super().__init__(f"server {server!r} is not available: {reason}; the call was not sent{later}")
        self.server = server
        self.reason = reason
        self.next_try_s = next_try_s


class RpcError(DownstreamError):
    """The server answered with a JSON-RPC error."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(f"{message} (JSON-RPC error {code})")
        self.code = code
        self.message = message
        self.data = data


class ResultTooLarge(DownstreamError):
    """The answer is larger than `max_result_mb` lets it be."""

    def __init__(self, server: str, tool: str, how_large: str) -> None:
        super().__init__(
            f"the result of {tool!r} of server {server!r} was dropped: {how_large}; the call may have taken effect. "
            "Ask for less (a page, a filter, a range), or set a larger `max_result_mb`"
        )
        self.server = server
        self.tool = tool
        self.how_large = how_large


class MalformedResult(DownstreamError):
    """The server answered with something that is not the result it should be."""

    def __init__(
        self, server: str, tool: str, fault: str, result: dict[str, Any] | None = None, *, expected: str = "tool result"
    ) -> None:
        super().__init__(
            f"server {server!r} answered {tool!r} with something that is not a {expected} ({fault}); the call may "
            "have taken effect: this is a fault in that server"
        )
        self.server = server
        self.tool = tool
        self.fault = fault
        self.result = result
        """What it answered with; None when it was not even an object."""


class InputRefused(DownstreamError):
    """What a server asked of the user in the middle of a call was not given; raised by who was to ask."""


class UnsendableArguments(DownstreamError):
    """Arguments that no server would be able to read."""

    def __init__(self, tool: str, fault: str) -> None:
        super().__init__(f"the arguments of {tool!r} cannot be sent: {fault}; the call was not sent")
        self.tool = tool
        self.fault = fault
