"""What `asyncfc-mcp --help` says."""

from __future__ import annotations

from click.testing import CliRunner

from asyncfc_mcp.cli.main import main


def test_the_list_of_commands_says_of_each_a_whole_sentence() -> None:
    said = CliRunner().invoke(main, ["--help"], terminal_width=80).stdout
    commands = said.partition("Commands:\n")[2].splitlines()
    assert len(commands) == len(main.commands)
    assert [line for line in commands if not line.endswith(".") or line.endswith("...")] == []
