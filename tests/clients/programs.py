"""Where the programs of the clients are, and how each is started; a client that cannot be had skips its tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent
NPM = os.environ.get("ASYNCFC_TEST_NPM", "")
WITHOUT_NPM = "ASYNCFC_TEST_NPM does not name a folder with node_modules"
MAKE_ENVIRONMENT_LIMIT_S = 300.0


def npm_program(name: str) -> str:
    program = shutil.which(name, path=str(Path(NPM, "node_modules", ".bin")))
    assert program is not None, f"{name} is not installed beside the servers from npm"
    return program


def python_of(name: str, *requirements: str) -> str:
    """The interpreter of an environment with these packages; made once and kept where ASYNCFC_TEST_CLIENTS says."""
    kept = os.environ.get("ASYNCFC_TEST_CLIENTS")
    if not kept:
        pytest.skip("ASYNCFC_TEST_CLIENTS names no folder in which to keep the environments of other clients")
    home = Path(kept, name)
    python = home / ("Scripts" if os.name == "nt" else "bin") / "python"
    ready = home / "ready"
    if not ready.exists() or ready.read_text() != repr(requirements):
        venv.create(home, with_pip=True, clear=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements]
        subprocess.run(install, check=True, capture_output=True, timeout=MAKE_ENVIRONMENT_LIMIT_S)
        ready.write_text(repr(requirements))
    return str(python)


def python_sdk_1() -> list[str]:
    return [python_of("python-sdk-1", "mcp>=1.30,<2"), str(HERE / "python_sdk_1.py")]


def python_sdk_2(era: str) -> list[str]:
    return [sys.executable, str(HERE / "python_sdk_2.py"), era]


def fastmcp(era: str) -> list[str]:
    return [python_of("fastmcp", "fastmcp-slim[client]==4.2.1"), str(HERE / "fastmcp_client.py"), era]


def typescript_sdk(number: int, *era: str) -> list[str]:
    if not NPM:
        pytest.skip(WITHOUT_NPM)
    return ["node", str(HERE / f"typescript_sdk_{number}.mjs"), *era]


CLIENTS: dict[str, Callable[[], list[str]]] = {
    "python-sdk-1": python_sdk_1,
    "python-sdk-2-legacy": lambda: python_sdk_2("legacy"),
    "python-sdk-2-auto": lambda: python_sdk_2("auto"),
    "fastmcp-auto": lambda: fastmcp("auto"),
    "typescript-sdk-1": lambda: typescript_sdk(1),
    "typescript-sdk-2-legacy": lambda: typescript_sdk(2, "legacy"),
    "typescript-sdk-2-auto": lambda: typescript_sdk(2, "auto"),
}
"""How each client is started; the door and what names the gateway follow."""
