"""What each client is made to do with the gateway. The Python scripts run it; `scenario.mjs` says the same."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import anyio

OWN_LIMIT_S = 0.5
UPDATE_LIMIT_S = 10.0
NOTE = "shelf://note"

Json = dict[str, Any]


class Player(Protocol):
    """A client as the scenario needs it; every answer as JSON."""

    @property
    def timed_out(self) -> type[Exception]:
        """What it raises when a limit of its own is over."""
        ...

    async def names(self) -> dict[str, list[str]]:
        """The names of the tools and prompts, the URIs of the resources."""
        ...

    async def call(self, tool: str, arguments: Json, limit_s: float | None = None) -> Json: ...

    async def read(self, uri: str) -> Json: ...

    async def prompt(self, name: str, arguments: dict[str, str]) -> Json: ...

    def watch(self, uri: str) -> AbstractAsyncContextManager[anyio.Event]:
        """Subscribe to a resource; the event is set by its first update."""
        ...


async def play(player: Player) -> Json:
    """Every answer, by what it is for."""
    report: Json = {**await player.names(), "inline": await player.call("echo", {"text": "hello"})}
    report["pending"] = await player.call("hold", {"key": "a"})
    token = token_of(report["pending"])
    report["running"] = await player.read(f"future://{token}")
    report["passed_on"] = await player.call("echo", {"text": token})
    async with player.watch(f"future://{token}") as updated:
        await player.call("release", {"key": "a"})
        with anyio.move_on_after(UPDATE_LIMIT_S):
            await updated.wait()
        report["updated"] = updated.is_set()
    report["awaited"] = await player.call("await_future", {"futures": [token_of(report["passed_on"])]})
    report["settled"] = await player.read(f"future://{token}")
    report["note"] = await player.read(NOTE)
    report["greeting"] = await player.prompt("greet", {"name": "Ada"})
    unwanted = token_of(await player.call("hold", {"key": "b", "_wait_s": 0}))
    report["cancelled"] = await player.call("cancel_future", {"futures": [unwanted]})
    report["own_limit"] = await run_out_of_time(player)
    report["left"] = await player.call("list_futures", {})
    return report


async def run_out_of_time(player: Player) -> str | None:
    """What the client says when it gives up on a call itself."""
    said = None
    try:
        await player.call("destroy", {"key": "c"}, OWN_LIMIT_S)
    except player.timed_out as error:
        said = f"{type(error).__name__}: {error}"
    # an answer that is still to come would reach a client that has gone, and the 1.x SDK breaks on that
    await player.call("release", {"key": "c"})
    await player.call("started", {"key": "c", "_wait_s": 20})
    return said


def token_of(result: Json) -> str:
    return result["_meta"]["asyncfc/future"]["token"]
