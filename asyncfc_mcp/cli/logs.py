"""`asyncfc-mcp logs`: what a server wrote on stderr, now or in an earlier run of a gateway."""

from __future__ import annotations

import codecs
import difflib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import click

from asyncfc_mcp.cli.tables import harmless
from asyncfc_mcp.config.load import state_folder
from asyncfc_mcp.downstream.links.server_logs import log_file, log_folder, logged_servers, old_file
from asyncfc_mcp.errors import GatewayError

_LOOKS_EVERY_S = 0.2


class NothingLogged(GatewayError):
    """There is no log of that server."""

    def __init__(self, server: str, folder: Path, known: list[str]) -> None:
        near = difflib.get_close_matches(server, known, n=1)
        there = f"there are logs of {', '.join(map(harmless, known))}" if known else f"{folder} is empty"
        meant = f"did you mean {harmless(near[0])}? " if near else ""
        super().__init__(
            f"nothing is logged of a server {server!r}; {there}; {meant}a log begins when a gateway starts the server, "
            "and servers at an address have none"
        )
        self.server = server


def run_logs(server: str | None, *, lines: int, follows: bool) -> None:
    """Print the last lines of a server's log, and with `follows` all that come, until Ctrl-C; or which logs there are.

    Raises:
        click.ClickException: there is none of that server.
    """
    folder = state_folder(os.environ)
    known = logged_servers(folder)
    if server is None:
        none = f"No server has been logged yet; the logs will be in {folder}."
        click.echo("\n".join(map(harmless, known)) if known else none)
        return
    path = known.get(server, log_file(folder, server))
    if not path.is_file() and not old_file(path).is_file():
        raise click.ClickException(str(NothingLogged(server, log_folder(folder), [*known])))
    file = _opened(path)
    try:
        for line in _last_lines(path, file, lines):
            click.echo(line)
        if follows:
            _follow(path, file)
    finally:
        if file is not None:
            file.close()


def _opened(path: Path) -> BinaryIO | None:
    try:
        return path.open("rb")
    except FileNotFoundError:  # it has just made room
        return None


def _last_lines(path: Path, file: BinaryIO | None, number: int) -> list[str]:
    """The last lines of both files; `file` stands behind what was read."""
    recent = file.read() if file is not None else b""
    if recent.count(b"\n") < number and (old := old_file(path)).is_file():
        recent = old.read_bytes() + recent
    return recent.decode("utf-8", "replace").splitlines()[-number:] if number else []


def _follow(path: Path, file: BinaryIO | None) -> None:
    # a character may come in two parts
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for chunk in _growth(path, file):
        click.echo(decoder.decode(chunk), nl=False)


def _growth(path: Path, file: BinaryIO | None) -> Iterator[bytes]:
    """What is written from now on, also after the file has made room for a new one."""
    while True:
        if file is not None and (chunk := file.read()):
            yield chunk
            continue
        fresh = _opened(path)
        if fresh is not None and (file is None or not os.path.sameopenfile(fresh.fileno(), file.fileno())):
            if file is not None:
                yield file.read()
                file.close()
            file = fresh
            continue
        if fresh is not None:
            fresh.close()
        time.sleep(_LOOKS_EVERY_S)
