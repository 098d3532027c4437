"""How every command ends that cannot do what it was asked: `asyncfc-mcp: …` on stderr, and an exit code."""

from __future__ import annotations

import io
import sys
from typing import Any

import click

from asyncfc_mcp.errors import GatewayError

_CANNOT = 2
_INTERRUPTED = 1


class Commands(click.Group):
    """Commands whose errors all have one form; a `GatewayError` that none of them caught ends with exit code 2."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run the command that was asked for, and exit."""
        try:
            code = super().main(*args, **{**extra, "standalone_mode": False})
        except click.ClickException as error:
            click.echo(_in_our_form(error), err=True)
            code = error.exit_code
        except click.Abort:
            click.echo("asyncfc-mcp: interrupted", err=True)
            code = _INTERRUPTED
        except GatewayError as error:
            click.echo(f"asyncfc-mcp: {error}", err=True)
            code = _CANNOT
        sys.exit(code)


def _in_our_form(error: click.ClickException) -> str:
    """What click says, with how to use the command before it where that is wrong."""
    said = io.StringIO()
    error.show(said)
    text, fact = said.getvalue().rstrip("\n"), error.format_message()
    theirs = f"Error: {fact}".rstrip("\n")
    return f"{text.removesuffix(theirs)}asyncfc-mcp: {fact}" if text.endswith(theirs) else text
