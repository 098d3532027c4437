"""Asks running gateways, each over loopback at its own dashboard, with the token that the directory has."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

from asyncfc_mcp.dashboard.directory import RunningGateway, running_gateways

_LONGEST_S = 5.0
_MOST_AT_ONCE = 8

Json = dict[str, Any]
"""As `snapshot.View` makes it; not taken from there, since that would load all of the gateway."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One gateway that runs, and what it shows."""

    gateway: RunningGateway
    snapshot: Json | None
    """None where it has no dashboard, or does not answer."""

    @property
    def why_nothing(self) -> str:
        """Why there is no snapshot, and what to do about it."""
        if self.gateway.url is None:
            return 'it has no dashboard, which is where this is read: `--dashboard 0`, or "dashboard": 0 in its file'
        return f"its dashboard does not answer within {_LONGEST_S:g} s; if it stays so, end the process"


def look(state_folder: Path) -> list[Seen]:
    """Every gateway of this user that runs."""
    running = running_gateways(state_folder)
    with ThreadPoolExecutor(_MOST_AT_ONCE) as pool:  # one that hangs keeps nobody waiting for the others
        return [Seen(*pair) for pair in zip(running, pool.map(_snapshot, running), strict=True)]


def address_good_once(gateway: RunningGateway) -> str | None:
    """What a browser may be started with, since it opens the dashboard only once; None where it does not answer."""
    answer = _ask(gateway, "ticket", "POST")
    return f"{gateway.url}#token={answer['ticket']}" if answer is not None else None


def _snapshot(gateway: RunningGateway) -> Json | None:
    return _ask(gateway, "snapshot", "GET")


def _ask(gateway: RunningGateway, what: str, method: str) -> Json | None:
    if gateway.url is None:
        return None
    headers = {"authorization": f"Bearer {gateway.token}"}
    request = Request(f"{gateway.url}/{what}", headers=headers, method=method)  # noqa: S310 - our own file names it
    try:
        # no proxy: it is this machine, and the token is nobody else's business
        with build_opener(ProxyHandler({})).open(request, timeout=_LONGEST_S) as answer:
            found: Any = json.load(answer)
    except (OSError, HTTPException, ValueError):  # it may also end while it answers
        return None
    return found
