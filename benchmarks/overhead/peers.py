"""Gateways and proxies that ours is compared with, each in its own environment: `python -m benchmarks.overhead.peers`.

They want other versions of the MCP SDK than we do, so they are never installed beside us. A benchmark leaves out what
is not installed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

import click

FOLDER = Path(os.environ.get("ASYNCFC_BENCHMARK_PEERS") or Path(__file__).parents[2] / ".venv" / "peers")


@dataclass(frozen=True, slots=True)
class Peer:
    """One of them, at the version that the figures are published for."""

    name: str
    requirement: str

    @property
    def folder(self) -> Path:
        return FOLDER / self.name

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def program(self, name: str) -> str:
        """One of the commands that it brings."""
        return str(self.folder / "bin" / name)

    @property
    def is_installed(self) -> bool:
        return self.python.exists() and self._stamp.exists() and self._stamp.read_text() == self.requirement

    @property
    def _stamp(self) -> Path:
        return self.folder / "requirement.txt"

    def install(self) -> None:
        """Make its environment, unless the very version is there."""
        if self.is_installed:
            return
        venv.create(self.folder, with_pip=True, clear=True)
        pip = [str(self.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, self.requirement], check=True)
        self._stamp.write_text(self.requirement)


FASTMCP = Peer("fastmcp", "fastmcp==4.1.2")
MCP_PROXY = Peer("mcp-proxy", "mcp-proxy==0.13.0")
CONTEXTFORGE = Peer("contextforge", "mcp-contextforge-gateway==1.0.7.post20260921")
PEERS = (FASTMCP, MCP_PROXY, CONTEXTFORGE)


@click.command()
@click.argument("names", nargs=-1, type=click.Choice([peer.name for peer in PEERS]))
def main(names: tuple[str, ...]) -> None:
    """Install the peers, or those that are named."""
    for peer in PEERS:
        if not names or peer.name in names:
            print(f"{peer.name}: {peer.requirement} in {peer.folder}", file=sys.stderr)
            peer.install()


if __name__ == "__main__":
    main()
