"""What the sub-commands do."""

from __future__ import annotations

import gc
import os
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path

import anyio
import structlog

from asyncfc_mcp.app import App
from asyncfc_mcp.cli.network import DEFAULT_HOST, DEFAULT_PORT, NetworkOptions
from asyncfc_mcp.config.file import ConfigFile
from asyncfc_mcp.config.load import from_command, state_folder
from asyncfc_mcp.errors import GatewayError
from asyncfc_mcp.telemetry.exporting import start_exporting
from asyncfc_mcp.telemetry.logs import configure_logs
from asyncfc_mcp.transports.access import TOKEN_VARIABLE, Access, token_from
from asyncfc_mcp.transports.descriptors import fill_standard_descriptors
from asyncfc_mcp.transports.listener import Listener

_COLLECTIONS = (20_000, 50, 100)
"""When garbage is collected (`gc.set_threshold`). A full collection walks every live future while calls wait; by
default it comes so often that submitting 8 000 calls spends 3 s in it (`benchmarks.scale`)."""


def run_serve(
    config_file: Path | None,
    command: tuple[str, ...],
    overrides: Mapping[str, object],
    *,
    level: str,
    transport: str,
    network: NetworkOptions,
) -> None:
    """Serve until the client goes or a signal comes; a wrong start is one message and exit code 2."""
    fill_standard_descriptors()
    configure_logs(level)
    log = structlog.get_logger()
    file = ConfigFile(config_file, os.environ, overrides) if config_file is not None else None
    loaded = file.load() if file is not None else from_command(command, os.environ, overrides)
    app = App(loaded, state_folder(os.environ), serves_network=transport != "stdio", config_file=file)
    serve = app.serve_stdio if transport == "stdio" else _network_service(app, transport, network)
    # it opens our own door: the servers that we start inherit our environment, and it is none of their business
    os.environ.pop(TOKEN_VARIABLE, None)
    for warning in loaded.warnings:
        log.warning("configuration", message=warning)
    log.info("starting", servers=[entry.key for entry in loaded.config.servers])
    end_exporting = start_exporting(os.environ)
    # What the imports have made stays for good: without this each full collection walks it, while calls wait.
    gc.freeze()
    gc.set_threshold(*_COLLECTIONS)
    refusal = anyio.run(serve)
    end_exporting()
    if refusal is not None:
        raise refusal
    log.info("stopped")


def _network_service(app: App, transport: str, network: NetworkOptions) -> Callable[[], Awaitable[GatewayError | None]]:
    """What serves on that transport, already listening."""
    host = network.host if network.host is not None else DEFAULT_HOST
    access = Access.to(
        host,
        token=token_from(os.environ, network.token_file),
        is_insecure=bool(network.insecure),
        more_hosts=network.allow_host,
        more_origins=network.allow_origin,
    )
    listener = Listener(host, network.port if network.port is not None else DEFAULT_PORT)
    return partial(app.serve_sse if transport == "sse" else app.serve_http, listener, access)


def run_demonstration(speed: float) -> None:
    """Run the demo; it says itself how it went."""
    from asyncfc_mcp.demo.run import main

    main(speed=speed)
