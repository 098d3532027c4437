"""The gateway that runs behind the Python API: started and ended with the block, and guarded against use outside it."""

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import Generator
from contextlib import contextmanager

import anyio
import structlog
from anyio.abc import TaskGroup, TaskStatus
from mcp import Client
from mcp_types import CallToolResult

from asyncfc_mcp.app import App
from asyncfc_mcp.core.future import SETTLED, Move
from asyncfc_mcp.core.token import KNOWN_CALLER_BITS, mint, slug_of
from asyncfc_mcp.downstream.catalog import CatalogTool
from asyncfc_mcp.downstream.naming import RESERVED_NAMES
from asyncfc_mcp.embedding.asking import Elicit, ProgramRequester, as_callback, claims_of
from asyncfc_mcp.embedding.configuration import Setup
from asyncfc_mcp.errors import GatewayError
from asyncfc_mcp.gateway.caller import Caller
from asyncfc_mcp.gateway.future import Future
from asyncfc_mcp.gateway.gateway import UnknownTool
from asyncfc_mcp.transports.stdio import PRINCIPAL

_LETTING_GO_S = 1.0
"""How long those who still wait as the block is left may take to be told."""
_FOR_MODELS = "it is for models: `model_call` calls it, a program uses `Future`"

log = structlog.get_logger()


class NotRunning(GatewayError):
    """A gateway, or a future of it, is used outside of its `async with` block."""

    def __init__(self) -> None:
        super().__init__(
            "the gateway is not running: use it inside of `async with Gateway(...) as gateway:`; what has not settled "
            "when that block is left has no result any more"
        )


class WrongLoop(GatewayError):
    """A gateway, or a future of it, is used outside of the event loop that it lives in."""

    def __init__(self) -> None:
        super().__init__(
            "a gateway lives in the asyncio event loop in which its `async with` block was entered, and only tasks of "
            "that loop may use it: from another thread go through `asyncio.run_coroutine_threadsafe(..., loop)`, or "
            "make a Gateway for each loop"
        )


class Engine:
    """One run of a gateway in this process."""

    def __init__(self, setup: Setup, elicit: Elicit | None) -> None:
        self._loop = _current_loop()
        if self._loop is None:
            raise WrongLoop
        self._elicit = elicit
        self._claims = claims_of(elicit)
        self.app = App(setup.loaded, setup.state_folder)
        self._warnings = setup.loaded.warnings
        self._stop = anyio.Event()
        self._is_over = False
        self._waiting: set[anyio.CancelScope] = set()
        self._one_gone = anyio.Event()
        self._tasks: TaskGroup | None = None
        self._client: Client | None = None
        self._connecting = anyio.Lock()
        self._own: set[tuple[str, str]] = set()
        """Scope and token of each unsettled call that the program itself has made."""
        self.app.gateway.runner.listen(self._on_move)

    async def run(self, *, task_status: TaskStatus[None]) -> None:
        """Run until `stop`; no server is left then.

        Raises:
            StoreFault: the store cannot be used.
        """
        for warning in self._warnings:
            log.warning("configuration", message=warning)
        try:
            async with self.app.running(), anyio.create_task_group() as self._tasks:
                self.app.pool.claim(self._claims)
                task_status.started()
                await self._stop.wait()
                await self._let_go()
                self._tasks.cancel_scope.cancel()
        finally:
            self._is_over = True

    def stop(self) -> None:
        """End it: servers, calls, and the waits of other tasks."""
        self._is_over = True
        self._stop.set()

    async def _let_go(self) -> None:
        """Wake those that wait before what they wait for is gone."""
        for scope in self._waiting:
            scope.cancel()
        with anyio.move_on_after(_LETTING_GO_S, shield=True):
            while self._waiting:
                self._one_gone = anyio.Event()
                await self._one_gone.wait()

    def now(self) -> App:
        """The running gateway, for what takes no time.

        Raises:
            NotRunning: it does not run.
            WrongLoop: it runs elsewhere.
        """
        if self._is_over:
            raise NotRunning
        if _current_loop() is not self._loop:
            raise WrongLoop
        return self.app

    @contextmanager
    def in_use(self) -> Generator[App]:
        """The running gateway, as long as it runs.

        Raises:
            NotRunning: it does not, or was ended meanwhile.
            WrongLoop: it runs elsewhere.
        """
        app = self.now()
        with anyio.CancelScope() as scope:
            self._waiting.add(scope)
            try:
                yield app
            finally:
                self._waiting.discard(scope)
                self._one_gone.set()
        if scope.cancelled_caught:
            raise NotRunning from None

    def caller(self, scope: str | None) -> Caller:
        """This program, in one of its scopes."""
        return Caller(
            principal=PRINCIPAL,
            scope=PRINCIPAL if scope is None else f"{PRINCIPAL}/{scope}",
            ends_with=PRINCIPAL,
            cap_s=math.inf,
            claims=self._claims,
        )

    def requester(self, caller: Caller) -> ProgramRequester | None:
        """Who is asked in the course of a wait; None where nobody is."""
        return ProgramRequester(caller, self._elicit) if self._elicit is not None else None

    async def tool(self, name: str) -> CatalogTool:
        """The tool of that name; waits for servers that have not listed theirs yet.

        Raises:
            UnknownTool: no server has it.
        """
        catalog = self.app.pool.catalog
        found = await catalog.find_listed(name)
        if found is None:
            absence = _FOR_MODELS if name in RESERVED_NAMES else catalog.absence(name)
            raise UnknownTool(name, catalog.likely(name), absence)
        return found

    async def new_token(self, caller: Caller, tool: str) -> str:
        """A token for a call of that tool that is no other's.

        Raises:
            UnknownTool: no server has it.
        """
        slug = slug_of((await self.tool(tool)).own_name)
        while True:
            token = mint(slug, secrets.randbits(KNOWN_CALLER_BITS), KNOWN_CALLER_BITS)
            if not self.app.gateway.sees(caller, token):
                return token

    def note_own(self, scope: str, token: str) -> None:
        """The program makes that call: its result is never attached to an answer for a model in the same scope."""
        self._own.add((scope, token))

    @contextmanager
    def taking_in(self, scope: str, token: str) -> Generator[None]:
        """A call of the program's own that may not be taken in."""
        own = (scope, token)
        is_new = own not in self._own
        self.note_own(scope, token)
        try:
            yield
        except BaseException:
            if is_new:  # else the name is that of another call
                self._own.discard(own)
            raise

    def _on_move(self, move: Move, future: Future) -> None:
        own = (future.caller.scope, future.token)
        if move.to_state in SETTLED and own in self._own:
            self._own.remove(own)
            self.app.gateway.delivery.drop(future)

    def tell(self, future: Future) -> None:
        """The program has read how a future settled, so no answer of its scope need carry it."""
        if not self._is_over:
            self.app.gateway.delivery.tell(future)

    async def client(self) -> Client:
        """An MCP client in this process that all model calls go through; connected when it is first asked for."""
        async with self._connecting:
            client = self._client
            if client is None:
                if self._tasks is None:
                    raise NotRunning
                client = self._client = await self._tasks.start(self._keep_client)
            return client

    async def _keep_client(self, *, task_status: TaskStatus[Client]) -> None:
        # In a task of its own: a client must be left by the task that entered it. Without a cache: the list of tools is
        # made once for each of its states anyway, and must never be an old one.
        callback = as_callback(self._elicit)
        async with Client(self.app.handlers.server, cache=None, elicitation_callback=callback) as client:
            client.session.validate_tool_result = _as_the_server_gave_it
            task_status.started(client)
            await anyio.sleep_forever()


async def _as_the_server_gave_it(name: str, result: CallToolResult) -> None:
    """A result that is not as its tool promised is the model's to read; to raise would lose what has been done."""


def _current_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:  # there is none, or it is of another kind
        return None
