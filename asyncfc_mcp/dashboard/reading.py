"""Reads the snapshots of running gateways, each over loopback from its own dashboard."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import ProxyHandler, Request, build_opener

from asyncfc_mcp.dashboard.directory import RunningGateway, running_gateways

_LONGEST_S = 5.0

Json = dict[str, Any]
"""As `snapshot.View` makes it; not taken from there, since that would load all of the gateway."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One gateway that runs, and what it shows."""

    gateway: RunningGateway
    snapshot: Json | None
    """None where it has no dashboard, or does not answer."""


def look(state_folder: Path) -> list[Seen]:
    """Every gateway of this user that runs."""
    return [Seen(one, _snapshot(one)) for one in running_gateways(state_folder)]


def _snapshot(gateway: RunningGateway) -> Json | None:
    if gateway.url is None:
        return None
    request = Request(f"{gateway.url}/snapshot", headers={"authorization": f"Bearer {gateway.token}"})  # noqa: S310 - our own file names it
    try:
        # no proxy: it is this machine, and the token is nobody else's business
        with build_opener(ProxyHandler({})).open(request, timeout=_LONGEST_S) as answer:
            found: Any = json.load(answer)
    except (URLError, OSError, ValueError):
        return None
    return found
