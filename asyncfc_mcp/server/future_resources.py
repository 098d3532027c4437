"""Futures as resources: `future://<token>` is JSON that says how the future stands, and its value once there is one."""

from __future__ import annotations

import json
from typing import Any

from asyncfc_mcp.core.future import FutureState
from asyncfc_mcp.core.token import normalise
from asyncfc_mcp.core.value import ANY_SLOT, BadSubstitution, select
from asyncfc_mcp.gateway.caller import Caller
from asyncfc_mcp.gateway.future import Future
from asyncfc_mcp.gateway.gateway import Gateway
from asyncfc_mcp.gateway.table import UnknownToken

SCHEME = "future://"
TEMPLATE: dict[str, Any] = {
    "uriTemplate": "future://{token}",
    "name": "future",
    "title": "A future",
    "description": (
        "How the call behind a token stands, as JSON: its state, why it waits, its progress, and its value or failure "
        "once it has settled. Subscribe to it to be told of every change of state."
    ),
    "mimeType": "application/json",
}
MOST_COMPLETIONS = 100
_SETTLED_TTL_MS = 60_000
"""A settled future never changes; it is forgotten some day."""


def token_of(uri: str) -> str | None:
    """The token that a URI names, in its one spelling; None when the URI is not of a future."""
    return normalise(uri.removeprefix(SCHEME)) if is_future_uri(uri) else None


def is_future_uri(uri: str) -> bool:
    """Whether a URI is the gateway's own, whatever follows."""
    return uri.startswith(SCHEME)


async def read_future(gateway: Gateway, caller: Caller, uri: str) -> dict[str, Any]:
    """The result of reading the resource; a settled future has been told to its scope then.

    Raises:
        UnknownToken: there is no such future that the caller may see.
        RunsElsewhere, ValueGone, StoreFault: it is another process's, or its value is not to be had.
    """
    token = token_of(uri)
    if token is None:
        raise UnknownToken(uri.removeprefix(SCHEME), [])
    await gateway.recall(caller, token)
    future = gateway.get(caller, token)
    await gateway.values.load((future,))
    text = json.dumps(_described(gateway, caller, future), ensure_ascii=False)
    is_settled = future.record.is_settled
    if is_settled and future.caller.scope == caller.scope:
        gateway.delivery.tell(future)
    contents = [{"uri": uri, "mimeType": "application/json", "text": text}]
    return {"contents": contents, "ttlMs": _SETTLED_TTL_MS if is_settled else 0, "cacheScope": "private"}


def complete_token(gateway: Gateway, caller: Caller, begun: str) -> dict[str, Any]:
    """The result of completing the template's `token`: the caller's own tokens, newest first."""
    mine = [] if caller.is_among_strangers else [one.token for one in reversed(gateway.futures(caller))]
    fitting = [token for token in mine if token.startswith(begun)]
    values = fitting[:MOST_COMPLETIONS]
    return {"completion": {"values": values, "total": len(fitting), "hasMore": len(fitting) > len(values)}}


def _described(gateway: Gateway, caller: Caller, future: Future) -> dict[str, Any]:
    description: dict[str, Any] = {
        "token": future.token,
        "state": str(future.record.state),
        "server": future.policy.server,
        "tool": future.tool_name,
    }
    if waits := gateway.why_it_waits(future, caller):
        description["waits"] = waits
    if future.progress is not None:
        progress = future.progress
        said = {"done": progress.done, "total": progress.total, "message": progress.message}
        description["progress"] = {key: value for key, value in said.items() if value is not None}
    if future.record.is_settled:
        description |= _end(future)
    return description


def _end(future: Future) -> dict[str, Any]:
    """The value as a call would get it in an argument that takes anything, or how the future failed."""
    failure = future.record.failure
    content = future.outcome.result.get("content") if future.outcome is not None else None
    if failure is not None or future.record.state is not FutureState.RESOLVED:
        said: dict[str, Any] = {"failure": {"reason": "cancelled", "message": "it was cancelled"}}
        if failure is not None:
            said["failure"] = {"reason": str(failure.reason), "message": failure.message}
            if failure.cause is not None:
                said["failure"]["cause"] = failure.cause
        # what a failed tool says is more than what is repeated of it
        is_tools_own = future.outcome is not None and future.outcome.is_error
        return said | ({"content": content} if is_tools_own else {}) | _late(future)
    try:
        return {"value": select(future.value(), (), ANY_SLOT, token=future.token)}
    except BadSubstitution:  # an image, say, has no value; it can be looked at all the same
        return {"content": content}


def _late(future: Future) -> dict[str, Any]:
    """What the server of a call that was given up has answered after all."""
    if future.late is None:
        return {}
    said: dict[str, Any] = {"content": future.late.result.get("content"), "isError": future.late.is_error}
    if future.late_s is not None:
        said["after_s"] = round(future.late_s, 1)
    return {"late": said}
