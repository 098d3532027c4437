"""JSON-RPC messages as they are read off a pipe or a stream."""

from __future__ import annotations

from typing import Annotated

from mcp_types import JSONRPCError, JSONRPCMessage, JSONRPCNotification, JSONRPCRequest, JSONRPCResponse
from pydantic import Field, TypeAdapter

# The SDK's own adapter reads each message as all four kinds and takes the one of which it finds most, which takes twice
# as long. In this order the first that fits is the same one: what has an error is that, whatever else it may be.
_KINDS: TypeAdapter[JSONRPCMessage] = TypeAdapter(
    Annotated[JSONRPCError | JSONRPCRequest | JSONRPCResponse | JSONRPCNotification, Field(union_mode="left_to_right")]
)


def read_message(text: bytes) -> JSONRPCMessage:
    """The message of a text.

    Raises:
        ValidationError: it is none.
    """
    return _KINDS.validate_json(text, by_name=False)
