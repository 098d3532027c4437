"""The gateway inside of a program: `async with Gateway({...}) as gateway`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import anyio
from anyio.abc import TaskGroup
from mcp import Client

from asyncfc_mcp.embedding.asking import Elicit
from asyncfc_mcp.embedding.configuration import from_document, from_file
from asyncfc_mcp.embedding.engine import Engine, NotRunning
from asyncfc_mcp.embedding.logs import leave_logs_to_the_program
from asyncfc_mcp.embedding.scope import Scope
from asyncfc_mcp.embedding.values import Server
from asyncfc_mcp.errors import GatewayError
from asyncfc_mcp.server.doorway import LONGEST_SCOPE

AnyPath = str | os.PathLike[str]


class AlreadyRunning(GatewayError):
    """The block of a gateway is entered a second time before it was left."""

    def __init__(self) -> None:
        super().__init__("the gateway runs already: make one Gateway for each `async with` block")


class ScopeNameTooLong(GatewayError):
    """What follows would not count, and two conversations would be one."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the name of a scope has at most {LONGEST_SCOPE} characters; this one has {len(name)}")
        self.name = name


class Gateway(Scope):
    """Starts the servers of a configuration, and calls their tools asynchronously, as long as its block lasts.

    Everything that a `Scope` can do it does in the unnamed scope. It lives in one asyncio event loop, in which any
    number of tasks may use it at once; the block is entered and left by one task. As it is left all servers are ended,
    calls that have not settled are dropped, and whoever waits for one gets `NotRunning`.

    Args:
        config: what a configuration file holds: `{"mcpServers": {...}, "asyncfc": {...}}`, in any client's dialect. Or
            the path of one, as for `from_file`. `store` is `"memory"` unless it says otherwise.
        state_folder: where tool lists, pins, sign-ins, the audit log and a `"sqlite"` store are kept; None: nothing is
            written, except that `"store": "sqlite"` means the user's own folder.
        elicit: answers what servers ask of their user in the middle of a call, while the program waits for that call:
            it gets the `params` of `elicitation/create` and gives an `ElicitResult`, both as on the wire, such as
            `{"action": "accept", "content": {"name": "Ada"}}`. None: servers are told that nobody can be asked.

    Raises:
        ConfigurationError: the configuration cannot be used.
    """

    def __init__(
        self,
        config: Mapping[str, Any] | AnyPath,
        *,
        state_folder: AnyPath | None = None,
        elicit: Elicit | None = None,
    ) -> None:
        super().__init__(self._running, None)
        folder = Path(state_folder) if state_folder is not None else None
        self._setup = from_document(config, folder) if isinstance(config, Mapping) else from_file(Path(config), folder)
        self._elicit = elicit
        self._current: Engine | None = None
        self._tasks: TaskGroup | None = None

    @classmethod
    def from_file(cls, path: AnyPath, *, state_folder: AnyPath | None = None, elicit: Elicit | None = None) -> Self:
        """The gateway of a configuration file, such as one that `asyncfc-mcp serve --config` takes.

        Raises:
            ConfigurationError: the file cannot be read or used.
        """
        return cls(path, state_folder=state_folder, elicit=elicit)

    async def __aenter__(self) -> Self:
        """Start the servers, without waiting for them.

        Raises:
            StoreFault: the store cannot be used.
        """
        if self._current is not None:
            raise AlreadyRunning
        leave_logs_to_the_program()
        self._current = engine = Engine(self._setup, self._elicit)
        self._tasks = await anyio.create_task_group().__aenter__()
        try:
            await self._tasks.start(engine.run)
        except BaseException as failed:
            await self.__aexit__(type(failed), failed, failed.__traceback__)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        """End everything. What the block has raised leaves it as it is, in no group."""
        engine, tasks = self._running(), self._tasks
        if tasks is None:
            raise NotRunning
        self._current = self._tasks = None
        engine.stop()
        if isinstance(raised, anyio.get_cancelled_exc_class()):
            return await tasks.__aexit__(kind, raised, traceback)
        await tasks.__aexit__(None, None, None)
        return None

    def scope(self, name: str) -> Scope:
        """A conversation of its own; the same name is the same scope.

        Calls of different scopes keep no order among each other, and share no attached results.

        Raises:
            ScopeNameTooLong: it has more than 200 characters.
        """
        if len(name) > LONGEST_SCOPE:
            raise ScopeNameTooLong(name)
        return Scope(self._running, name)

    def client(self, **options: Any) -> Client:
        """An MCP client of this gateway, in this process; `async with gateway.client() as client`.

        Args:
            options: those of `mcp.Client`, such as `elicitation_callback`.

        Raises:
            NotRunning: outside of the block.
        """
        return Client(self._running().app.handlers.server, **options)

    def servers(self) -> dict[str, Server]:
        """How each server stands now, by its key: one that is not ready says why.

        Raises:
            NotRunning: outside of the block.
        """
        statuses = self._running().app.pool.statuses()
        return {key: Server(str(status.state), status.message) for key, status in statuses.items()}

    def _running(self) -> Engine:
        if self._current is None:
            raise NotRunning
        return self._current
