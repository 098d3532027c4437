"""What the client behind a request says of itself, to be said downstream in its name and never in ours."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

TASKS_EXTENSION = "io.modelcontextprotocol/tasks"
"""The capability of those who know tasks: our clients, and towards servers always we ourselves."""

Era = Literal["legacy", "modern"]
"""`legacy`: the revisions with a handshake, up to 2025-11-25. `modern`: 2026-07-28 and later, without one."""


@dataclass(frozen=True, slots=True)
class Claims:
    """One client's protocol era and capabilities; equal ones may share a connection."""

    era: Era
    capabilities_json: str = "{}"
    """The ClientCapabilities of the wire as canonical JSON: hashable, and nothing of it is lost."""
    log_level: str | None = None
    """What a modern client's request asked for with `io.modelcontextprotocol/logLevel`."""

    @classmethod
    def of(cls, era: Era, capabilities: Mapping[str, Any] | None, log_level: str | None = None) -> Claims:
        """The claims of a client with these capabilities."""
        return cls(era, json.dumps(capabilities or {}, sort_keys=True), log_level)

    @property
    def capabilities(self) -> dict[str, Any]:
        """The ClientCapabilities of the wire; a copy that its owner may change."""
        return json.loads(self.capabilities_json)

    def can_answer(self, method: str, params: Mapping[str, Any] | None) -> bool:
        """Whether the client says that it can answer that request of a server."""
        capabilities = self.capabilities
        match method:
            case "elicitation/create":
                return _takes_elicitation(capabilities.get("elicitation"), (params or {}).get("mode", "form"))
            case "sampling/createMessage":
                sampling = capabilities.get("sampling")
                wants_tools = bool((params or {}).get("tools") or (params or {}).get("toolChoice"))
                return isinstance(sampling, dict) and (not wants_tools or "tools" in sampling)
            case "roots/list":
                return isinstance(capabilities.get("roots"), dict)
            case _:
                return False


def _takes_elicitation(capability: object, mode: object) -> bool:
    if not isinstance(capability, dict) or not isinstance(mode, str):
        return False
    # an empty object is how revisions before the URL mode said that they take forms
    return mode in capability or (mode == "form" and not capability.keys() & {"form", "url"})


EVERYTHING = Claims.of(
    "modern", {"elicitation": {"form": {}, "url": {}}, "sampling": {"tools": {}}, "roots": {"listChanged": True}}
)
"""What the gateway can pass on to one client or another: claimed where several share one process of a server."""
