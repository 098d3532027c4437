"""Tables: drawn on a terminal, plain columns where somebody else reads them."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from asyncfc_mcp.downstream.links.framing import printable

_PIECE = 1000
"""As much as can be made printable at once without being cut."""


def harmless(text: str) -> str:
    """The text for a terminal, which obeys control characters, where some of its words are a server's."""
    pieces = (text[at : at + _PIECE] for at in range(0, len(text), _PIECE))
    return "".join(printable(piece.encode("utf-8", "replace")) for piece in pieces)


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print it on stdout; its texts are to be harmless on a terminal."""
    if sys.stdout.isatty():
        _draw(head, rows)
        return
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        click.echo("  ".join(f"{text:{width}}" for text, width in zip(row, widths, strict=True)).rstrip())


def _draw(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in head:
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)
