"""`asyncfc-mcp init`, `off` and `on` as a user runs them."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from tests.bounds import bound_s
from tests.harness import TOY

LIMIT_S = 30.0
SECRET = "S3CRET"
TOY_ENTRY = {"command": sys.executable, "args": [str(TOY)], "env": {"KEY": SECRET}}
TRAP = {"command": "touch", "args": ["trap-was-sprung"]}
REMOTE = {"url": "https://mcp.example.com/mcp"}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with two servers in Cursor's file, one in a project's, and a broken file of Windsurf's."""
    (tmp_path / ".cursor").mkdir()
    document = {"mcpServers": {"toy": TOY_ENTRY, "remote": REMOTE}}
    (tmp_path / ".cursor" / "mcp.json").write_text(json.dumps(document, indent=2))
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / ".mcp.json").write_text(json.dumps({"mcpServers": {"\x1b[2Jtrap": TRAP}}))
    (tmp_path / "project" / ".claude").mkdir()
    rules = {"permissions": {"deny": ["mcp____2Jtrap__touch"]}}
    (tmp_path / "project" / ".claude" / "settings.json").write_text(json.dumps(rules))
    (tmp_path / ".codeium" / "windsurf").mkdir(parents=True)
    (tmp_path / ".codeium" / "windsurf" / "mcp_config.json").write_text("{")
    return tmp_path


def environment(home: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("SYSTEMROOT", "PATHEXT", "VIRTUAL_ENV") if name in os.environ}
    own = {
        "HOME": str(home),
        "USERPROFILE": str(home),
        "APPDATA": str(home / "AppData" / "Roaming"),
        "LOCALAPPDATA": str(home / "AppData" / "Local"),
        "PATH": os.pathsep.join(["/usr/bin", "/bin"]),
        "ASYNCFC_CONFIG_FOLDER": str(home / "gateway"),
        "ASYNCFC_STATE_FOLDER": str(home / "state"),
    }
    return kept | own


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "asyncfc_mcp", *arguments]


def asyncfc(home: Path, *arguments: str, code: int = 0) -> str:
    """All that the command says in a script."""
    finished = subprocess.run(
        command(*arguments),
        env=environment(home),
        cwd=home / "project",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=bound_s(LIMIT_S),
        check=False,
    )
    said = finished.stdout + finished.stderr
    assert finished.returncode == code, said
    assert "Traceback" not in said
    assert SECRET not in said
    return said


def at_a_terminal(home: Path, answers: Sequence[str], *arguments: str) -> str:
    """All that it says to somebody who gives these answers."""
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command(*arguments), env=environment(home), cwd=home / "project", stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    os.write(ours, "".join(f"{answer}\n" for answer in answers).encode())
    said = b""
    with suppress(OSError):  # how the other end's going shows on Linux
        while chunk := os.read(ours, 65536):
            said += chunk
    assert process.wait(timeout=bound_s(LIMIT_S)) == 0, said
    os.close(ours)
    return said.decode()


def files(home: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(home)): path.read_bytes()
        for path in home.rglob("*")
        if path.is_file() and not path.is_relative_to(home / "state")
    }


def cursor(home: Path) -> dict[str, Any]:
    return json.loads((home / ".cursor" / "mcp.json").read_text())["mcpServers"]


def test_in_a_script_it_only_shows_what_it_would_do(home: Path) -> None:
    before = files(home)
    said = asyncfc(home, "init")
    assert files(home) == before
    assert f"Cursor (user): {home / '.cursor' / 'mcp.json'}\n  toy: can move" in said
    assert "remote: stays, it may want you to sign in by browser" in said
    assert "left alone: not JSON" in said
    broken = home / ".codeium" / "windsurf" / "mcp_config.json"
    assert f"Mend {broken} and run `asyncfc-mcp init` again" in said
    assert f"By hand in {broken}: put its servers into" in said
    assert f"toy of Cursor, in {home / 'gateway' / 'servers.json'}" in said
    assert "Without them what these rules deny is no longer denied." in said
    assert said.endswith("Nothing was changed. `--yes` does it.\n")


def test_names_in_a_projects_file_cannot_steer_the_terminal(home: Path) -> None:
    said = asyncfc(home, "init")
    assert "\x1b" not in said
    assert "?[2Jtrap" in said


def test_yes_does_it_and_undo_puts_it_back(home: Path) -> None:
    before = files(home)
    said = asyncfc(home, "init", "--yes", "--except", "\x1b[2Jtrap")
    assert "echo -> toy_echo" in said
    assert list(cursor(home)) == ["remote", "asyncfc"]
    assert "Nothing to do." in asyncfc(home, "init", "--yes", "--except", "\x1b[2Jtrap")
    assert "put back" in asyncfc(home, "init", "--undo")
    assert files(home) == before
    assert "init has changed nothing here" in asyncfc(home, "init", "--undo", code=1)


def test_a_projects_servers_are_not_started_without_asking(home: Path) -> None:
    asyncfc(home, "init", "--yes")
    assert (home / "project" / "asyncfc.servers.json").exists()
    assert not list(home.rglob("trap-was-sprung"))


def test_no_start_starts_nothing(home: Path) -> None:
    assert "TOOL -> toy_TOOL" in asyncfc(home, "init", "--yes", "--no-start", "--client", "cursor")


def test_new_names_stand_below_their_server(home: Path) -> None:
    said = asyncfc(home, "init", "--yes", "--no-start")
    assert "\n  toy of Cursor:\n    TOOL -> toy_TOOL\n" in said
    assert "\n  ?[2Jtrap of Claude Code:\n    " in said


@pytest.mark.anyio
async def test_what_stands_in_the_clients_file_then_serves_the_tools(home: Path) -> None:
    asyncfc(home, "init", "--yes", "--no-start", "--client", "cursor")
    entry = cursor(home)["asyncfc"]
    assert entry["env"] == {"PATH": os.pathsep.join(["/usr/bin", "/bin"])}
    assert Path(entry["command"]).is_absolute()
    environ = environment(home) | entry["env"]
    process = StdioServerParameters(command=entry["command"], args=entry["args"], env=environ, cwd=home)
    with anyio.fail_after(bound_s(LIMIT_S)):
        async with Client(stdio_client(process)) as client:
            names = [tool.name for tool in (await client.list_tools()).tools]
            answer = await client.call_tool("toy_echo", {"text": "hi"})
    assert "toy_echo" in names
    assert "await_future" in names
    assert "hi" in str(answer.content)


def test_off_and_on_switch_all_clients(home: Path) -> None:
    before = files(home)
    asyncfc(home, "init", "--yes", "--no-start")
    assert "The gateway is off" in asyncfc(home, "off")
    assert {path: content for path, content in files(home).items() if path in before} == before
    assert "it is switched off" not in asyncfc(home, "off")
    assert "the gateway is switched off" in asyncfc(home, "init", code=1)
    assert "The gateway is on" in asyncfc(home, "on")
    assert list(cursor(home)) == ["remote", "asyncfc"]


def test_what_cannot_be_put_back_is_said_and_the_exit_code_is_one(home: Path) -> None:
    asyncfc(home, "init", "--yes", "--no-start", "--client", "cursor")
    file = home / ".cursor" / "mcp.json"
    file.write_text(file.read_text().replace('"serve"', '"sever"'))
    said = asyncfc(home, "init", "--undo", code=1)
    assert "asyncfc is not what it was" in said
    assert "--- as init left it" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--client", "emacs"], "there is no client 'emacs'"),
        (["--server", "toi"], "there is no server 'toi'"),
        (["--undo", "--client", "cursor"], "--undo puts everything back"),
    ],
)
def test_a_wrong_choice_is_wrong_usage(home: Path, arguments: list[str], message: str) -> None:
    assert message in asyncfc(home, "init", *arguments, code=2)


def test_at_a_terminal_it_asks_client_by_client(home: Path) -> None:
    # Cursor's, not the project's; yes, do it; do not start them
    said = at_a_terminal(home, ["y", "n", "y", "n"], "init")
    assert "Move toy of Cursor (user) behind the gateway?" in said
    assert "Start the servers of" in said
    assert list(cursor(home)) == ["remote", "asyncfc"]
    assert not (home / "project" / "asyncfc.servers.json").exists()


def test_a_no_at_the_end_changes_nothing(home: Path) -> None:
    before = files(home)
    assert "Nothing was changed." in at_a_terminal(home, ["y", "y", "y", "n"], "init")
    assert files(home) == before


def test_a_yes_to_the_rules_writes_them(home: Path) -> None:
    at_a_terminal(home, ["n", "y", "y", "y", "n"], "init")
    rules = json.loads((home / "project" / ".claude" / "settings.json").read_text())
    assert rules["permissions"]["deny"][1:] == ["mcp__asyncfc-project__2Jtrap_touch"]


@pytest.mark.skipif(os.name == "nt", reason="a folder that a program is in cannot be deleted there")
def test_a_folder_that_is_gone_is_said_in_one_line(home: Path) -> None:
    gone = home / "gone"
    gone.mkdir()
    finished = subprocess.run(
        ["/bin/sh", "-c", 'rmdir ../gone && exec "$@"', "sh", *command("off")],
        env=environment(home) | {"PYTHONPATH": str(Path(__file__).parents[2])},
        cwd=gone,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=bound_s(LIMIT_S),
        check=False,
    )
    assert finished.returncode == 1
    assert finished.stderr == "asyncfc-mcp: the folder that you are in is not there any more: go to another one\n"


def test_somebody_without_a_client_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    said = asyncfc(tmp_path, "init")
    assert "No client's file was found here" in said
    assert "Codex" in said


def test_an_undo_that_keeps_the_gateways_file_says_that_the_clients_are_put_back(home: Path) -> None:
    asyncfc(home, "init", "--yes", "--client", "cursor", "--no-start")
    (home / "gateway" / "servers.json").write_text("{")
    said = asyncfc(home, "init", "--undo", code=1)
    assert "Your clients' own files are all put back: start your clients anew." in said


def test_labels_are_in_no_ones_way_when_all_is_put_back(home: Path) -> None:
    before = files(home)
    asyncfc(home, "init", "--yes", "--client", "cursor", "--no-start")
    servers_file = home / "gateway" / "servers.json"
    document = json.loads(servers_file.read_text())
    document["mcpServers"]["toy"]["asyncfc"] = {"isolated": True}
    servers_file.write_text(json.dumps(document))
    said = asyncfc(home, "init", "--undo")
    (copy,) = servers_file.parent.glob("servers.json.asyncfc-backup-*")
    assert f"is kept: {copy}" in said
    assert json.loads(copy.read_text()) == document
    assert files(home).keys() - before.keys() == {str(copy.relative_to(home))}


def test_an_undo_that_leaves_a_clients_file_does_not_say_that_the_clients_are_put_back(home: Path) -> None:
    asyncfc(home, "init", "--yes", "--client", "cursor", "--no-start")
    file = home / ".cursor" / "mcp.json"
    file.write_text(file.read_text().replace('"serve"', '"sever"'))
    assert "all put back" not in asyncfc(home, "init", "--undo", code=1)


def test_who_has_only_a_projects_servers_is_told_how_to_look_at_them(home: Path) -> None:
    said = asyncfc(home, "init", "--yes", "--client", "claude-code", "--no-start")
    assert "`asyncfc-mcp doctor --config asyncfc.servers.json`" in said
    for name in ("doctor", "tools", "annotate"):
        said = asyncfc(home, name, code=2)
        assert "for the servers of this project, say `--config asyncfc.servers.json`" in said
        assert "asyncfc-mcp init" not in said


def test_without_claude_on_the_path_its_commands_are_still_to_be_run_and_the_exit_code_is_one(home: Path) -> None:
    (home / ".claude.json").write_text(json.dumps({"mcpServers": {"mem": {"command": "mem"}}}))
    said = asyncfc(home, "init", "--yes", "--server", "mem", "--no-start", code=1)
    assert "claude mcp add-json --scope user -- asyncfc" in said
    assert "Nothing has changed for Claude Code before you run the commands above." in said
    assert "Nothing has changed for Claude Code" not in asyncfc(home, "init", "--yes", "--server", "toy", "--no-start")


@pytest.mark.parametrize("arguments", [["init", "--undo"], ["off"]])
def test_what_only_the_missing_claude_could_put_back_is_not_said_to_be_done(home: Path, arguments: list[str]) -> None:
    state = home / ".claude.json"
    state.write_text(json.dumps({"mcpServers": {"mem": {"command": "mem", "env": {"KEY": SECRET}}}}))
    said = asyncfc(home, "init", "--yes", "--server", "mem", "--no-start", code=1)
    (adding,) = {line.strip() for line in said.splitlines() if "claude mcp add-json" in line}
    before = state.read_text()
    state.write_text(json.dumps({"mcpServers": {"asyncfc": json.loads(shlex.split(adding)[-1])}}))
    for _ in range(2):
        said = asyncfc(home, *arguments, code=1)
        assert "claude mcp add-json --scope user -- mem - < " in said
        assert "asyncfc-mcp: Claude Code is not changed yet, since there is no `claude` on the PATH" in said
        assert "start your clients anew" not in said
    state.write_text(before)
    assert "start your clients anew" in asyncfc(home, *arguments)


def test_what_only_the_missing_claude_could_switch_on_is_not_said_to_be_on(home: Path) -> None:
    (home / ".claude.json").write_text(json.dumps({"mcpServers": {"mem": {"command": "mem"}}}))
    asyncfc(home, "init", "--yes", "--server", "mem", "--no-start", code=1)
    asyncfc(home, "off")
    for _ in range(2):
        said = asyncfc(home, "on", code=1)
        assert "claude mcp add-json --scope user -- asyncfc" in said
        assert "The gateway is on" not in said
    asyncfc(home, "init", "--undo")
