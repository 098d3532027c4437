"""A settled future as the result of a tool call, however it is asked for."""

from __future__ import annotations

from typing import Any

from asyncfc_mcp.gateway.future import Future
from asyncfc_mcp.gateway.words import wording
from asyncfc_mcp.gateway.words.shaping import inline_result, names_its_token, text_block

FUTURE_META_KEY = "asyncfc/future"


def future_meta(future: Future) -> dict[str, Any]:
    """The token and the state, for programs."""
    return {FUTURE_META_KEY: {"token": future.token, "state": str(future.record.state)}}


def settled_result(future: Future) -> dict[str, Any]:
    """What the answer to its call holds; not for one whose server refused the request, which is no result at all."""
    if future.outcome is None:
        if future.record.failure is None:
            raise LookupError(future.token)
        # an inline failure leaves no token, so it must not name one
        name = future.token if future.has_known_token else "the call"
        return {"content": [text_block(wording.without_value(future, name))], "isError": True}
    result = inline_result(future)
    if not future.is_known or not names_its_token(future):
        return result
    return {**result, "content": [*result["content"], text_block(wording.long_result(future.token))]}
