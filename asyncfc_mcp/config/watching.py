"""Sees when a configuration file has changed for good, and reads it again.

Editors write a file in several steps, or put another in its place. So a change counts once two looks in a row have seen
the same, and what was read in between is what they saw.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import anyio.to_thread

from asyncfc_mcp.config.file import ConfigFile
from asyncfc_mcp.config.load import LoadedConfig
from asyncfc_mcp.errors import GatewayError

LOOK_S = 1.0
"""How often the files are looked at."""
SECOND_LOOK_S = 0.1
"""How soon the second look follows where somebody has asked for it."""

Looked = dict[Path, str]
OnRead = Callable[[LoadedConfig | GatewayError], Awaitable[None]]
"""Takes the configuration that the file says now, or why it cannot be used."""


class ConfigWatch:
    """Looks at the files of a configuration every second.

    Args:
        file: what is in force was read from it.
        on_read: called after each change.
    """

    def __init__(self, file: ConfigFile, on_read: OnRead) -> None:
        self._file = file
        self._on_read = on_read
        self._asked = anyio.Event()
        self._taken = file.loaded_from
        """What the files held as they were last read."""
        self._before: Looked | None = None
        """What the last look saw."""

    def look_now(self) -> None:
        """Have the files looked at and read at once, also where they are as they were."""
        self._asked.set()

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            is_asked = await self._pause()
            await self.look()
            if is_asked:
                await anyio.sleep(SECOND_LOOK_S)
                await self.look(is_asked=True)

    async def look(self, *, is_asked: bool = False) -> None:
        """Look once, and read the file if it has changed and is as the last look saw it.

        `is_asked`: also where it is as it was when it was last read.
        """
        before, seen = self._before, await self._contents()
        self._before = seen
        if seen == before and (is_asked or seen != self._taken):
            await self._read(seen)

    async def _pause(self) -> bool:
        """Wait for the next look; whether somebody has asked for it."""
        with anyio.move_on_after(LOOK_S):
            await self._asked.wait()
        is_asked = self._asked.is_set()
        if is_asked:
            self._asked = anyio.Event()
        return is_asked

    async def _read(self, seen: Looked) -> None:
        read = await anyio.to_thread.run_sync(self._load)
        after, loaded_from = await self._contents(), self._file.loaded_from
        if any(loaded_from.get(path) != held or seen.get(path, held) != held for path, held in after.items()):
            return  # it is being written to: the next looks will see that
        self._taken = after
        await self._on_read(read)

    def _load(self) -> LoadedConfig | GatewayError:
        try:
            return self._file.load_again()
        except GatewayError as error:
            return error

    async def _contents(self) -> Looked:
        return await anyio.to_thread.run_sync(self._file.look)
