"""The command that clients start the gateway with."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from asyncfc_mcp.adoption.launch import Launch, entry_of_gateway, shell_path, snippet, this_gateway
from asyncfc_mcp.clients.places import CLAUDE_DESKTOP, CODEX, VS_CODE, ClientFile
from asyncfc_mcp.config.dialects import runs_gateway


def program(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return str(path)


def test_an_installed_program_is_named_as_it_was_called(tmp_path: Path) -> None:
    real = program(tmp_path / "venvs" / "asyncfc-mcp" / "bin" / "asyncfc-mcp")
    link = tmp_path / "bin" / "asyncfc-mcp"
    link.parent.mkdir()
    link.symlink_to(real)
    assert this_gateway(str(link), "/usr/bin/python3") == Launch(str(link))


@pytest.mark.parametrize("called_as", ["/site-packages/asyncfc_mcp/__main__.py", "asyncfc-mcp", "-c", "pytest"])
def test_anything_else_is_the_interpreter_with_our_module(called_as: str) -> None:
    assert this_gateway(called_as, "/opt/venv/bin/python") == Launch("/opt/venv/bin/python", ("-m", "asyncfc_mcp"))


@pytest.mark.parametrize(
    "executable",
    [
        "/home/ada/.cache/uv/archive-v0/x3f/bin/python",
        "/Users/ada/.cache/uv/environments-v2/asyncfc/bin/python",
        "/home/ada/.cache/pipx/4f2/bin/python",
    ],
)
def test_a_program_in_a_cache_is_warned_of(executable: str) -> None:
    warning = this_gateway("asyncfc-mcp", executable).warning
    assert warning is not None
    assert "uv tool install asyncfc-mcp" in warning


def test_the_path_is_the_shells_without_what_is_there_for_the_moment() -> None:
    folders = ["/venv/bin", "/usr/bin", "relative", "", "/home/a/.cache/uv/archive-v0/x/bin", "/usr/bin", "/bin"]
    environ = {"PATH": os.pathsep.join(folders), "VIRTUAL_ENV": "/venv"}
    assert shell_path(environ) == os.pathsep.join(["/usr/bin", "/bin"])


@pytest.mark.parametrize(
    ("called_as", "executable"), [("/nowhere", "/opt/venv/bin/python"), ("/nowhere", "C:\\venv\\Scripts\\python.exe")]
)
def test_the_gateway_knows_its_own_entry_again(called_as: str, executable: str) -> None:
    launch = this_gateway(called_as, executable)
    assert runs_gateway(launch.command, launch.serving(Path("/a b.json")))


def test_only_clients_with_windows_are_given_a_path(tmp_path: Path) -> None:
    environ = {"PATH": "/usr/bin"}
    files = [ClientFile(client, tmp_path, "user") for client in (CLAUDE_DESKTOP, VS_CODE, CODEX)]
    entries = [entry_of_gateway(Launch("/g"), file, tmp_path, environ) for file in files]
    assert ["env" in entry for entry in entries] == [True, True, False]


def test_a_snippet_is_in_the_language_of_the_file(tmp_path: Path) -> None:
    entry = {"command": "/g", "args": ["serve"]}
    assert snippet(entry, ClientFile(CODEX, tmp_path, "user"), "asyncfc").startswith("[mcp_servers.asyncfc]\n")
    assert '"servers": {\n    "asyncfc"' in snippet(entry, ClientFile(VS_CODE, tmp_path, "user"), "asyncfc")
