"""What a server that we start says beside the protocol, for whoever wants to hear it: its log file, the doctor.

A context variable and not a parameter: who listens is decided where servers are started together, and the layers in
between neither know nor care.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
from typing import Protocol


class Aside(StrEnum):
    """Where it was said."""

    STDERR = "stderr"
    STDOUT = "stdout"
    """A line that is no message; MCP servers may write nothing else there."""
    STARTED = "started"
    ENDED = "ended"


class Ear(Protocol):
    """Hears all servers that are started while it listens."""

    def heard(self, server: str, aside: Aside, lines: list[str]) -> None:
        """Take lines, printable and without the secrets of the server's entry; never raises and never waits."""
        ...


_EARS: ContextVar[tuple[Ear, ...]] = ContextVar("ears", default=())


@contextmanager
def overheard_by(*ears: Ear) -> Generator[None]:
    """Have them hear every server that is started by this task, or by one that this task starts, while this lasts."""
    token = _EARS.set((*_EARS.get(), *ears))
    try:
        yield
    finally:
        _EARS.reset(token)


def tell(server: str, aside: Aside, lines: list[str]) -> None:
    """Say it to all that listen."""
    for ear in _EARS.get():
        ear.heard(server, aside, lines)
