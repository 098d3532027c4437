"""`asyncfc-mcp futures`: the futures of running gateways, and past ones of the store."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from asyncfc_mcp.cli.opening import gateway_in_words
from asyncfc_mcp.cli.tables import harmless, print_table
from asyncfc_mcp.config.load import load_file, state_folder
from asyncfc_mcp.config.models import GatewaySettings
from asyncfc_mcp.core.future import SETTLED, FutureState
from asyncfc_mcp.dashboard.reading import Seen, look
from asyncfc_mcp.errors import GatewayError
from asyncfc_mcp.store.opening import store_bytes, store_file
from asyncfc_mcp.store.past import PastFuture, hash_of, past_future, past_futures

MOST_PAST = 200
_SAME_S = 0.05
"""A call of a running gateway and a row of the store that came within it are one."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for."""

    has_all: bool
    state: str | None
    token: str | None

    def takes(self, listed: Listed) -> bool:
        """Whether that is one of them."""
        if self.token is not None:
            return listed.token == self.token
        if self.state is not None:
            return listed.state == self.state
        return self.has_all or FutureState(listed.state) not in SETTLED


@dataclass(frozen=True, slots=True)
class Listed:
    """One future as it is shown; times are seconds since the epoch."""

    source: str
    """The process id of its gateway, or `store`."""
    token: str
    server: str
    tool: str
    state: str
    failure: str | None
    why: str
    arrived_s: float
    started_s: float | None
    settled_s: float | None


def run_futures(config_file: Path | None, wanted: Wanted, *, as_json: bool) -> None:
    """Print them.

    Raises:
        click.ClickException: there is no future of that token, or the store cannot be read.
    """
    seen = look(state_folder(os.environ))
    live = list(_live(seen))
    try:
        past = list(_past(config_file, wanted, live))
    except GatewayError as error:
        raise click.ClickException(str(error)) from None
    chosen = sorted((one for one in (*live, *past) if wanted.takes(one)), key=lambda one: one.arrived_s)
    if wanted.token is not None and not chosen:
        raise click.ClickException(f"{wanted.token} is not known: it never existed, has expired, or has another name")
    if as_json:
        click.echo(json.dumps([asdict(one) for one in chosen], indent=2))
        return
    if wanted.token is not None:
        _print_one(chosen[-1])
        return
    _print_all(chosen, wanted)
    for one in seen:
        if one.snapshot is None:
            click.echo(harmless(f"{gateway_in_words(one.gateway)} shows nothing: {one.why_nothing}"), err=True)


def _live(seen: Sequence[Seen]) -> Iterator[Listed]:
    for one in seen:
        spans: list[dict[str, Any]] = one.snapshot["spans"] if one.snapshot is not None else []
        for span in spans:
            yield Listed(
                source=str(one.gateway.pid),
                token=span["token"],
                server=span["server"],
                tool=span["tool"],
                state=span["state"],
                failure=span["failure"],
                why=span["why"] or (f"it waited {span['waited_for']}" if span["waited_for"] else ""),
                arrived_s=span["arrived_s"],
                started_s=span["started_s"],
                settled_s=span["settled_s"],
            )


def _past(config_file: Path | None, wanted: Wanted, live: Sequence[Listed]) -> Iterator[Listed]:
    settings = load_file(config_file, os.environ).config.settings if config_file is not None else GatewaySettings()
    path = store_file(settings, state_folder(os.environ))
    if path is None or not path.is_file():
        return
    if wanted.token is not None:
        found = past_future(path, wanted.token, max_bytes=store_bytes(settings))
        rows: Iterable[PastFuture] = [found] if found is not None else []
    else:
        rows = past_futures(path, max_bytes=store_bytes(settings), most=MOST_PAST)
    hashes = {hash_of(one.token) for one in live}
    for row in rows:
        if row.token_hash not in hashes and not any(_is_same(row, one) for one in live):
            yield _listed(row, wanted.token or "")


def _is_same(row: PastFuture, live: Listed) -> bool:
    is_call = (row.server, row.tool) == (live.server, live.tool)
    return is_call and abs(row.created_at - live.arrived_s) < _SAME_S


def _listed(row: PastFuture, token: str) -> Listed:
    return Listed("store", token, row.server, row.tool, row.state, row.reason, "", row.created_at, None, row.settled_at)


def _print_all(chosen: Sequence[Listed], wanted: Wanted) -> None:
    if not chosen:
        click.echo(
            "No future fits." if wanted.has_all or wanted.state else "No future is unsettled; --all shows others."
        )
        return
    now_s = time.time()
    print_table(
        ("token", "server", "tool", "state", "came", "took", "why"),
        [
            (
                one.token or "(stored)",
                harmless(one.server),
                harmless(one.tool),
                one.state,
                time.strftime(
                    "%H:%M:%S" if now_s - one.arrived_s < 86400 else "%Y-%m-%d", time.localtime(one.arrived_s)
                ),
                _duration((one.settled_s or now_s) - one.arrived_s),
                harmless((one.failure or "").replace("_", " ") or one.why),
            )
            for one in chosen
        ],
    )


def _print_one(one: Listed) -> None:
    facts = {
        "token": one.token,
        "gateway": "none that runs; from the store" if one.source == "store" else f"process {one.source}",
        "call": f"{harmless(one.server)}: {harmless(one.tool)}",
        "state": one.state + (f" ({one.failure.replace('_', ' ')})" if one.failure else ""),
        "came": time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(one.arrived_s)),
        "waited": _duration(one.started_s - one.arrived_s) if one.started_s is not None else "",
        "ran": _duration(one.settled_s - one.started_s) if one.settled_s and one.started_s else "",
        "why": harmless(one.why),
    }
    for name, value in facts.items():
        if value:
            click.echo(f"{name + ':':<9}{value}")


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{max(0.0, seconds):.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
