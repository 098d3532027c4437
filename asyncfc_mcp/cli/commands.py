"""What the sub-commands do."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import anyio
import click
import structlog

from asyncfc_mcp.app import App
from asyncfc_mcp.config.load import from_command, load_file, state_folder
from asyncfc_mcp.errors import GatewayError
from asyncfc_mcp.telemetry.logs import configure_logs


def run_serve(config_file: Path | None, command: tuple[str, ...], overrides: Mapping[str, object], level: str) -> None:
    """Serve until the client goes; a wrong configuration stops the start with one message and exit code 2."""
    configure_logs(level)
    log = structlog.get_logger()
    try:
        if config_file is not None:
            loaded = load_file(config_file, os.environ, overrides)
        else:
            loaded = from_command(command, os.environ, overrides)
        app = App(loaded, state_folder(os.environ))
    except GatewayError as error:
        _refuse(error)
    for warning in loaded.warnings:
        log.warning("configuration", message=warning)
    log.info("starting", servers=[entry.key for entry in loaded.config.servers])
    # What the imports have made stays for good: without this each full collection walks it, while calls wait.
    gc.freeze()
    refusal = anyio.run(app.serve_stdio)
    if refusal is not None:
        _refuse(refusal)
    log.info("stopped")


def _refuse(error: GatewayError) -> NoReturn:
    click.echo(f"asyncfc-mcp: {error}", err=True)
    sys.exit(2)


def run_demonstration(speed: float) -> None:
    """Run the demo; it says itself how it went."""
    from asyncfc_mcp.demo.run import main

    main(speed=speed)
