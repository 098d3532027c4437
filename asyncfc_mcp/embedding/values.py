"""What the Python API hands out: tools, results, servers, and references to values that are not there yet."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from asyncfc_mcp.core.reference import clip
from asyncfc_mcp.core.value import MISSING
from asyncfc_mcp.downstream.outcome import Outcome
from asyncfc_mcp.server.results import FUTURE_META_KEY


class Reference(str):
    """A part of a future's value, written so that it can stand anywhere in the arguments of a later call.

    `search / "items/0/url"` is the text `fut_…/items/0/url`. What follows the token is a JSON Pointer: a `/` inside a
    key is written `~1`, a `~` is written `~0`.
    """

    __slots__ = ()

    def __truediv__(self, part: str | int) -> Reference:
        """A part of the part: `reference / "url"`, `reference / 0`."""
        return Reference(f"{self}/{str(part).removeprefix('/')}")

    @property
    def embedded(self) -> str:
        """As it is written inside a longer text: `${fut_…/items/0/url}`."""
        return f"${{{self}}}"


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool, as a model is shown it."""

    name: str
    description: str
    input_schema: dict[str, Any] = field(repr=False)
    """JSON Schema of its arguments."""
    server: str | None
    """The key of its server; None for the gateway's own tools, such as `await_future`."""
    annotations: dict[str, Any] = field(default_factory=dict[str, Any])
    """The MCP annotations, as on the wire: `readOnlyHint` and the like."""


@dataclass(frozen=True, slots=True)
class Server:
    """How one of the servers stands."""

    state: str
    """`ready`, `connecting`, `waiting`, `failed`, `unresponsive` or `closed`."""
    message: str | None
    """Why it is not ready."""


@dataclass(frozen=True, slots=True, repr=False)
class Result:
    """What a tool has answered; as a string, its text."""

    raw: dict[str, Any]
    """The `CallToolResult` as on the wire (camelCase keys), with all that the server said."""

    @property
    def content(self) -> list[dict[str, Any]]:
        """The content blocks, as on the wire: `{"type": "text", "text": …}`, `{"type": "image", …}` and so on."""
        return list(self.raw.get("content") or [])

    @property
    def text(self) -> str:
        """All text blocks, joined by newlines; empty when there are none."""
        return Outcome(self.raw).text or ""

    @property
    def structured(self) -> Any:
        """The `structuredContent`; None when there is none."""
        structured = Outcome(self.raw).structured
        return None if structured is MISSING else structured

    @property
    def is_error(self) -> bool:
        """Whether the tool says that it failed."""
        return Outcome(self.raw).is_error

    @property
    def token(self) -> str | None:
        """Of an answer for a model: the token that stands for the value, where that is not there yet."""
        meta: dict[str, Any] = self.raw.get("_meta") or {}
        return meta[FUTURE_META_KEY]["token"] if FUTURE_META_KEY in meta else None

    def __str__(self) -> str:
        """Its text."""
        return self.text

    def __repr__(self) -> str:
        return f"<Result{' (error)' if self.is_error else ''} {clip(self.text)!r}>"
