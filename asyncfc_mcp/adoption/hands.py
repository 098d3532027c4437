"""What changes are made with, and the refusal to make one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from asyncfc_mcp.adoption.claude_code import ClaudeCode
from asyncfc_mcp.adoption.journal import Journal
from asyncfc_mcp.errors import GatewayError

Say = Callable[[str], None]

RUN_ANEW = " (run `asyncfc-mcp init --undo`, then `asyncfc-mcp init`)"


class Refused(GatewayError):
    """A change that is left as it is, because others have changed the same place since."""

    def __init__(self, path: Path, fact: str, difference: Sequence[str] = ()) -> None:
        super().__init__(f"{path}: {fact}; it is left as it is" + "".join(f"\n    {line}" for line in difference))
        self.path = path


@dataclass(frozen=True, slots=True)
class Hands:
    """What changes are made with."""

    journal: Journal
    claude: ClaudeCode
    moment: str
    """Of the names of backups."""
    say: Say
    left: dict[Path, str] = field(default_factory=dict[Path, str])
    """The hash of what was left in each file after a copy of all of it was kept: a second copy would say no more."""
