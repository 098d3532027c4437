"""`asyncfc-mcp tools`: every tool, and how its calls are treated."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from asyncfc_mcp.cli.files import chosen_file
from asyncfc_mcp.cli.interrupts import run_interruptible
from asyncfc_mcp.cli.label_words import labels_in_words
from asyncfc_mcp.cli.tables import harmless, print_table
from asyncfc_mcp.config.load import load_file
from asyncfc_mcp.downstream.catalog import CatalogTool
from asyncfc_mcp.inspection.reading import narrowed
from asyncfc_mcp.inspection.servers import ListedServer, listed
from asyncfc_mcp.telemetry.logs import configure_logs

_HEAD = ("TOOL", "SERVER", "MODE", "INLINE WAIT", "READS", "WRITES", "LABELS FROM")


def run_tools(config: Path | None, server: str | None, *, as_json: bool) -> None:
    """Print the tools; exit code 1 when a server did not come up, 2 without a file that can be used."""
    configure_logs("critical")  # what matters of it is said below
    file = chosen_file(config)
    chosen = narrowed(load_file(file, os.environ).config, server)
    servers = run_interruptible(partial(listed, chosen))
    if as_json:
        click.echo(json.dumps(_document(file, servers), indent=2))
    else:
        print_table(_HEAD, [_row(tool) for server in servers for tool in server.tools])
    down = [server for server in servers if server.why_down is not None]
    for one in down:
        fact = f"{one.key} is not up: {one.why_down}"
        click.echo(harmless(f"{fact}; `asyncfc-mcp doctor --server {one.key}` says more"), err=True)
    sys.exit(1 if down else 0)


def _row(tool: CatalogTool) -> tuple[str, ...]:
    policy = tool.policy
    wait = policy.inline_wait_s if isinstance(policy.inline_wait_s, str) else f"{policy.inline_wait_s:g} s"
    if policy.mode != "auto":
        wait = "-"
    texts = (tool.name, tool.server, policy.mode, wait, labels_in_words(policy.reads), labels_in_words(policy.writes))
    return tuple(harmless(text) for text in (*texts, policy.label_source))


def _document(file: Path, servers: Sequence[ListedServer]) -> dict[str, Any]:
    return {
        "file": str(file),
        "servers": [
            {"server": one.key, "state": "ready" if one.why_down is None else "failed", "message": one.status.message}
            for one in servers
        ],
        "tools": [_facts(tool) for server in servers for tool in server.tools],
    }


def _facts(tool: CatalogTool) -> dict[str, Any]:
    policy = tool.policy
    return {
        "name": tool.name,
        "server": tool.server,
        "own_name": tool.own_name,
        "mode": policy.mode,
        "inline_wait_s": policy.inline_wait_s,
        "timeout_s": policy.timeout_s,
        "reads": list(policy.reads),
        "writes": list(policy.writes),
        "labels_from": policy.label_source.value,
        "labels_are_declared": policy.labels_are_declared,
    }
