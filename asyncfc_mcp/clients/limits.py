"""How long a request of each client may take, and how much text it takes in.

Only clients whose limit was seen by ourselves have a row; all others get the cautious default. Sources and dates are
in docs/clients.md.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClientLimits:
    """What one client can take."""

    cap_s: float
    """The longest that we let one request wait, safely below the client's own limit."""
    output_characters: int
    """The longest result text, attachments included, that surely arrives whole."""


UNKNOWN_CLIENT = ClientLimits(cap_s=25.0, output_characters=40_000)
"""The shortest known limits are 30 s (JetBrains) and 25 000 tokens (Claude Code)."""

LIMITS: dict[str, ClientLimits] = {
    "mcp": ClientLimits(cap_s=45.0, output_characters=1_000_000),
    "fastmcp": ClientLimits(cap_s=45.0, output_characters=1_000_000),
    "asyncfc-mcp-demo": ClientLimits(cap_s=45.0, output_characters=1_000_000),
    "inspector": ClientLimits(cap_s=45.0, output_characters=UNKNOWN_CLIENT.output_characters),
    "inspector-cli": ClientLimits(cap_s=45.0, output_characters=UNKNOWN_CLIENT.output_characters),
}
"""By `clientInfo.name`. `mcp` is the Python SDK, which has no limit of its own."""


def limits_of(client_name: str | None) -> ClientLimits:
    """What the client allows, by the name it gives itself."""
    return LIMITS.get(client_name or "", UNKNOWN_CLIENT)
