"""Has a gateway go by its configuration file as that changes, and says what came of each change.

Keys of servers and names of settings are said, and what is wrong in words; never a value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog

from asyncfc_mcp.config.differences import Differences, FileStanding
from asyncfc_mcp.config.file import ConfigFile
from asyncfc_mcp.config.load import LoadedConfig
from asyncfc_mcp.config.watching import ConfigWatch
from asyncfc_mcp.errors import GatewayError
from asyncfc_mcp.gateway.gateway import Gateway

log = structlog.get_logger()


class FileFollower:
    """Follows one file.

    Args:
        gateway: goes by it.
        file: what is in force was read from it.
        on_taken_up: hears what has changed, once it counts.
        said: the warnings that were given as it was first read.
    """

    def __init__(
        self,
        gateway: Gateway,
        file: ConfigFile,
        on_taken_up: Callable[[Differences], None],
        *,
        said: Sequence[str] = (),
    ) -> None:
        self._gateway = gateway
        self._path = str(file.path)
        self._on_taken_up = on_taken_up
        self._watch = ConfigWatch(file, self._on_read)
        self._said = frozenset(said)

    def look_now(self) -> None:
        """Have the file read at once, and said what came of it, also where it is as it was."""
        self._watch.look_now()

    async def run(self) -> None:
        """Follow until cancelled."""
        await self._watch.run()

    async def _on_read(self, read: LoadedConfig | GatewayError) -> None:
        if isinstance(read, GatewayError):
            self._refuse(read)
            return
        try:
            changes = await self._gateway.take_up(read.config)
        except GatewayError as error:
            self._refuse(error)
        except Exception:  # what runs must not end for it
            log.exception("configuration_not_taken_up", file=self._path)
        else:
            self._say(changes, read)
            self._on_taken_up(changes)

    def _refuse(self, error: GatewayError) -> None:
        needs_restart = self._gateway.file_standing.needs_restart
        self._gateway.file_standing = FileStanding(needs_restart, str(error))
        log.error("configuration_refused", file=self._path, why=str(error), effect="all stays as it was")

    def _say(self, changes: Differences, read: LoadedConfig) -> None:
        before, self._gateway.file_standing = self._gateway.file_standing, FileStanding(changes.needs_restart)
        for warning in read.warnings:
            if warning not in self._said:
                log.warning("configuration", message=warning)
        self._said = frozenset(read.warnings)
        if changes.needs_restart and changes.needs_restart != before.needs_restart:
            effect = "these stay as they were until the gateway is started again"
            log.warning("configuration_needs_restart", file=self._path, settings=changes.needs_restart, effect=effect)
        elif not changes.takes_effect:
            log.info("configuration_unchanged", file=self._path)
        if changes.takes_effect:
            log.info(
                "configuration_taken_up",
                file=self._path,
                added=changes.added,
                gone=changes.gone,
                replaced=changes.replaced,
                changed=dict(changes.changed),
                settings=changes.settings,
            )
