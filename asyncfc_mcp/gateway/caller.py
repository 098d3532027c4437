"""Who calls: whose futures they may see, whose order they keep, and how long their client waits."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caller:
    """The client behind one request."""

    principal: str
    """Who may see the futures of this call."""
    scope: str
    """Whose call order is kept; unique across principals."""
    is_anonymous: bool = False
    """Whether others share the principal, so that only the token itself keeps them apart."""
    cap_s: float = 25.0
    """The longest that one request of this client may wait."""
    output_characters: int = 40_000
    """The longest result text that this client takes in."""
