"""What each client is made to do with the gateway. The Python scripts run it; `typescript_sdk.mjs` says the same."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

CallTool = Callable[[str, dict[str, Any], float | None], Awaitable[dict[str, Any]]]
"""Calls a tool with a limit of the client's own in seconds; gives the result as JSON, and raises where the SDK does."""
OWN_LIMIT_S = 0.5


async def run_scenario(call: CallTool, timed_out: type[Exception]) -> dict[str, Any]:
    """Every answer, by what it is for; `timed_out` is what the SDK raises when its own limit is over."""
    report: dict[str, Any] = {"inline": await call("echo", {"text": "hello"}, None)}
    report["pending"] = await call("hold", {"key": "a"}, None)
    token = report["pending"]["_meta"]["asyncfc/future"]["token"]
    report["passed_on"] = await call("echo", {"text": token}, None)
    later = report["passed_on"]["_meta"]["asyncfc/future"]["token"]
    await call("release", {"key": "a"}, None)
    report["awaited"] = await call("await_future", {"futures": [later]}, None)
    unwanted = await call("hold", {"key": "b"}, None)
    cancelled = unwanted["_meta"]["asyncfc/future"]["token"]
    report["cancelled"] = await call("cancel_future", {"futures": [cancelled]}, None)
    try:
        await call("destroy", {"key": "c"}, OWN_LIMIT_S)
    except timed_out as error:
        report["own_limit"] = f"{type(error).__name__}: {error}"
    # an answer that is still to come would reach a client that has gone, and the 1.x SDK breaks on that
    await call("release", {"key": "c"}, None)
    await call("started", {"key": "c", "_wait_s": 20}, None)
    report["left"] = await call("list_futures", {}, None)
    return report
