"""Messages are read as the SDK reads them, in half the time."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from mcp_types import JSONRPCMessage, jsonrpc_message_adapter
from pydantic import ValidationError

from asyncfc_mcp.downstream.links.messages import read_message

ODD = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3) | st.just([])
OBJECTS = st.dictionaries(st.sampled_from(["a", "_meta", "code", "message"]), ODD, max_size=3)
ERRORS = st.fixed_dictionaries({"code": st.integers(), "message": st.text(max_size=3)}, optional={"data": ODD})
MEMBERS: dict[str, st.SearchStrategy[Any]] = {
    "jsonrpc": st.just("2.0") | ODD,
    "id": st.integers() | st.text(max_size=3) | ODD,
    "method": st.sampled_from(["tools/call", "ping"]) | ODD,
    "params": OBJECTS | ODD,
    "result": OBJECTS | ODD,
    "error": st.fixed_dictionaries({"code": st.integers(), "message": st.text(max_size=3)}, optional={"data": ODD})
    | ODD,
    "other": ODD,
}


def read_by_sdk(text: bytes) -> JSONRPCMessage | None:
    try:
        return jsonrpc_message_adapter.validate_json(text, by_name=False)
    except ValidationError:
        return None


def read_here(text: bytes) -> JSONRPCMessage | None:
    try:
        return read_message(text)
    except ValidationError:
        return None


@given(st.fixed_dictionaries({}, optional=MEMBERS))
@example({"jsonrpc": "2.0", "id": 1, "result": {}, "error": {"code": -1, "message": "no"}})
@example({"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {}, "error": {"code": -1, "message": "no"}})
@example({"jsonrpc": "2.0", "id": 1, "method": "ping", "result": {}})
def test_messages_are_read_as_the_sdk_reads_them(message: dict[str, Any]) -> None:
    text = json.dumps(message).encode()
    assert read_here(text) == read_by_sdk(text)
