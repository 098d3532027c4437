"""Taking the secrets of a configuration out of what servers say.

What an entry gives to its server in `env` and `headers` counts as secret, whatever its name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from asyncfc_mcp.config.models import ServerEntry, StdioEntry
from asyncfc_mcp.config.problems import HIDDEN

_SHORTEST = 6
"""Shorter values are words such as `true` or `info`, which would be hidden all over the text."""
_WORDS = re.compile(r"\S+")


class Secrets:
    """Some texts, and a way to hide them in others."""

    def __init__(self, values: Iterable[str]) -> None:
        found = {part for value in values for part in _parts(value) if len(part) >= _SHORTEST}
        longest_first = sorted(found, key=len, reverse=True)
        self._any = re.compile(b"|".join(re.escape(part.encode()) for part in longest_first)) if found else None

    def hidden_in(self, text: bytes) -> bytes:
        """The text with each of them replaced."""
        return text if self._any is None else self._any.sub(HIDDEN.encode(), text)


def secrets_of(*entries: ServerEntry) -> Secrets:
    """What these entries give to their servers."""
    tables = (one.transport.env if isinstance(one.transport, StdioEntry) else one.transport.headers for one in entries)
    return Secrets(value for table in tables for value in table.values())


def _parts(value: str) -> Iterable[str]:
    """The value, each of its lines, and what stands behind a scheme such as `Bearer`: text is looked at by the line."""
    yield value
    for line in value.splitlines():
        yield line.strip()
        scheme, *rest = _WORDS.findall(line)[:2] or [""]
        if rest and scheme.lower() in {"bearer", "basic", "token"}:
            yield rest[0]
