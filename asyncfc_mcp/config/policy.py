"""One resolved, frozen policy per tool. Nothing behind this file reads configuration."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from asyncfc_mcp.config.models import InlineWait, Mode, ServerEntry, ServerSettings, StdioEntry, ToolSettings
from asyncfc_mcp.errors import GatewayError

_Value = TypeVar("_Value")


class LabelSource(StrEnum):
    """Who said what a tool touches, strongest first."""

    CONFIGURATION = "configuration"
    PACK = "pack"
    ANNOTATIONS = "annotations"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class ToolHints:
    """The MCP annotations that matter here; None where the server says nothing."""

    read_only: bool | None = None
    destructive: bool | None = None
    idempotent: bool | None = None


@dataclass(frozen=True, slots=True)
class ToolPolicy:
    """How calls of one tool are treated."""

    server: str
    tool: str
    mode: Mode
    inline_wait_s: InlineWait
    timeout_s: float
    cancel_grace_s: float
    structured: bool
    label_source: LabelSource
    reads: tuple[str, ...]
    """Label templates; the empty template is the root."""
    writes: tuple[str, ...]
    is_local: bool
    """Whether the server runs on this machine, so that its file paths are ours too."""
    is_trusted: bool
    """Whether `hints` may be believed."""
    hints: ToolHints

    @property
    def labels_are_declared(self) -> bool:
        """Whether the labels were written for this very tool, by the user or in a pack."""
        return self.label_source in {LabelSource.CONFIGURATION, LabelSource.PACK}

    @property
    def may_repeat(self) -> bool:
        """Whether a call may be made again after its server was lost: it is known to be read-only or idempotent."""
        return self.is_trusted and bool(self.hints.read_only or self.hints.idempotent)

    @property
    def waits_for_failure(self) -> bool:
        """Whether a call waits up to the client's cap, so that its failure is seen at once.

        Any server is believed when it calls a tool destructive: waiting longer is the careful side.
        """
        return self.mode == "auto" and self.hints.destructive is True


LabelTemplates = Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]
"""From a tool's own name to the templates of what it reads and what it writes."""


class UnresolvedSetting(GatewayError):
    """A server's settings were not filled in from the levels above it: always a fault in this package."""

    def __init__(self, server: str, name: str) -> None:
        super().__init__(
            f"server {server!r} has no value for {name}; take entries from config.load, which fills them in"
        )
        self.server = server
        self.name = name


def resolve_policy(
    entry: ServerEntry, tool: str, hints: ToolHints, *, has_ui: bool, pack: LabelTemplates | None
) -> ToolPolicy:
    """What holds for one tool, by the tool's own name; `has_ui`: it has MCP Apps `_meta.ui`, so its host awaits it."""
    own = entry.settings.tools.get(tool, ToolSettings())
    server = entry.settings
    is_trusted = _filled(entry, "trust", server.trust)
    source, reads, writes = _labels(entry, tool, own, pack, is_read_only=is_trusted and hints.read_only is True)
    return ToolPolicy(
        server=entry.key,
        tool=tool,
        mode="sync" if has_ui else _filled(entry, "mode", own.mode, server.mode),
        inline_wait_s=_filled(entry, "inline_wait_s", own.inline_wait_s, server.inline_wait_s),
        timeout_s=_filled(entry, "timeout_s", own.timeout_s, server.timeout_s),
        cancel_grace_s=_filled(entry, "cancel_grace_s", server.cancel_grace_s),
        structured=_filled(entry, "structured", server.structured),
        label_source=source,
        reads=reads,
        writes=writes,
        is_local=isinstance(entry.transport, StdioEntry),
        is_trusted=is_trusted,
        hints=hints,
    )


def unknown_tools(entry: ServerEntry, known: Collection[str]) -> tuple[str, ...]:
    """The tools that the user has settings for and the server does not list: most often a typing mistake."""
    return tuple(tool for tool in entry.settings.tools if tool not in known)


_Labels = tuple[LabelSource, tuple[str, ...], tuple[str, ...]]


def _labels(
    entry: ServerEntry, tool: str, own: ToolSettings, pack: LabelTemplates | None, *, is_read_only: bool
) -> _Labels:
    if own.reads is not None or own.writes is not None:
        return LabelSource.CONFIGURATION, own.reads or (), own.writes or ()
    if pack is not None and tool in pack:
        reads, writes = pack[tool]
        return LabelSource.PACK, reads, writes
    root = _root(entry.key, entry.settings)
    if is_read_only:
        return LabelSource.ANNOTATIONS, (root,), ()
    # A write conflicts with everything that a read does, so it stands for both.
    return LabelSource.DEFAULT, (), (root,)


_AS_LITERAL = str.maketrans({"%": "%25", "/": "%2F", "{": "%7B", "}": "%7D"})


def _root(server: str, settings: ServerSettings) -> str:
    """The template of what a tool touches when nobody says: everything, or all that is this server's."""
    return server.translate(_AS_LITERAL) if settings.isolated else ""


def _filled(entry: ServerEntry, name: str, *levels: _Value | None) -> _Value:
    for value in levels:
        if value is not None:
            return value
    raise UnresolvedSetting(entry.key, name)
