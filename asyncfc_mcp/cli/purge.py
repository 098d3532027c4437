"""`asyncfc-mcp purge`: deletes futures from the store and says what is left."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path

import click

from asyncfc_mcp.config.load import load_file, state_folder
from asyncfc_mcp.config.models import GatewaySettings
from asyncfc_mcp.store.opening import store_bytes, store_file
from asyncfc_mcp.store.purging import Purged, purge


def run_purge(config_file: Path | None, store: str | None, *, has_all: bool, older_than_s: float | None) -> None:
    """Delete what was asked for; a store that cannot be used is one message and exit code 2."""
    now = time.time()
    settled_before = now - older_than_s if older_than_s is not None else None
    settings = _settings(config_file, store)
    path = store_file(settings, state_folder(os.environ))
    if path is None or not path.exists():
        click.echo(f"nothing is stored: {'the store is in memory' if path is None else f'there is no {path}'}")
        return
    purged = purge(
        path,
        max_bytes=store_bytes(settings),
        now=now,
        settled_before=math.inf if has_all else settled_before,
    )
    click.echo(_report(purged, path))


def _settings(config_file: Path | None, store: str | None) -> GatewaySettings:
    if config_file is not None:
        return load_file(config_file, os.environ, {"store": store}).config.settings
    return GatewaySettings(store=store) if store is not None else GatewaySettings()


def _report(purged: Purged, path: Path) -> str:
    lines = [
        f"{_futures(purged.deleted)} deleted from {path}, {purged.left} left; it has {_size(purged.size_bytes)} now"
    ]
    if purged.abandoned:
        lines.append(f"{purged.abandoned} of the deleted had not settled, and their gateway is gone")
    if purged.unsettled:
        lines.append(
            f"{purged.unsettled} of those left have not settled; "
            "--all deletes those whose gateway is gone, the others stay as long as theirs is at them"
        )
    return "\n".join(lines)


def _futures(number: int) -> str:
    return "1 future" if number == 1 else f"{number} futures"


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB" if size_bytes >= 100_000 else f"{size_bytes / 1e3:.0f} kB"
