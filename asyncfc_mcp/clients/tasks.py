"""Which hosts put an MCP task into the background and go on. Others wait for it, and are better off with a token."""

from __future__ import annotations

import re
from dataclasses import dataclass

_NUMBERS = re.compile(r"\d+(?:\.\d+)*")


@dataclass(frozen=True, slots=True)
class TaskHost:
    """A host that puts tasks into the background."""

    since: tuple[int, ...]
    """Its first version that does."""
    most_at_once: int
    """Further ones it would cancel, and our calls with them; they are answered with a token instead."""


TASK_HOSTS: dict[str, TaskHost] = {"claude-code": TaskHost(since=(2, 1, 304), most_at_once=4)}
"""By `clientInfo.name`. Where Claude Code draws the line is not published, so the number is a cautious one."""


def task_host(client_name: str | None, version: str | None) -> TaskHost | None:
    """The host behind a client, if tasks do not hold it up."""
    host = TASK_HOSTS.get(client_name or "")
    numbers = _NUMBERS.match(version or "")
    if host is None or numbers is None:
        return None
    return host if tuple(int(part) for part in numbers[0].split(".")) >= host.since else None
