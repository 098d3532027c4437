"""What the command line says of serving over the network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import click

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8765


@dataclass(frozen=True, slots=True)
class NetworkOptions:
    """Where to listen and whom to let in; None and empty where nothing was said."""

    host: str | None
    port: int | None
    token_file: Path | None
    insecure: bool | None
    allow_host: tuple[str, ...]
    allow_origin: tuple[str, ...]

    @property
    def given(self) -> list[str]:
        """The options that were given, as they are written."""
        names = [field.name for field in fields(self) if getattr(self, field.name) not in {None, ()}]
        return [f"--{name.replace('_', '-')}" for name in names]


_OPTIONS = (
    click.option("--host", help=f"Where to listen.  [default: {DEFAULT_HOST}]"),
    click.option("--port", type=click.IntRange(0, 65535), help=f"0 takes a free one.  [default: {DEFAULT_PORT}]"),
    click.option(
        "--token-file",
        type=click.Path(path_type=Path),
        help="Holds the bearer token that every request must bring; without it ASYNCFC_TOKEN is looked at.",
    ),
    click.option("--insecure", is_flag=True, default=None, help="Listen beyond this machine without a token."),
    click.option("--allow-host", multiple=True, metavar="NAME", help="A further Host that requests may name."),
    click.option("--allow-origin", multiple=True, metavar="URL", help="A further Origin that browsers may come from."),
)


def network_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of serving over the network."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
