"""JSON-RPC messages as they are read off a pipe or a stream."""

from __future__ import annotations

from typing import Any, cast

from mcp_types import JSONRPCMessage, JSONRPCNotification, JSONRPCRequest, JSONRPCResponse, jsonrpc_message_adapter
from pydantic_core import from_json


def read_message(text: bytes) -> JSONRPCMessage:
    """The message of a text.

    Raises:
        ValidationError: it is none.
    """
    try:
        said: object = from_json(text)
        kind = _kind_of(cast("dict[str, Any]", said)) if isinstance(said, dict) else None
        if kind is not None:
            return kind.model_validate(said, by_name=False)
    except ValueError:  # a ValidationError is one as well
        pass
    # the SDK's own: as all four kinds, to take the one of which it finds most, which takes several times as long
    return jsonrpc_message_adapter.validate_json(text, by_name=False)


def _kind_of(said: dict[str, Any]) -> type[JSONRPCRequest | JSONRPCNotification | JSONRPCResponse] | None:
    """What a message can only be; None where the SDK has to decide."""
    if "error" in said:
        return None
    if "method" in said:
        return JSONRPCRequest if "id" in said else JSONRPCNotification
    return JSONRPCResponse if "result" in said else None
