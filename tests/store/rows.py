"""Rows that tests put into stores."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from asyncfc_mcp.core.future import FutureState
from asyncfc_mcp.store.base import StoredFuture


def row(future: str = "id-1", token: str = "fut_search_1", principal: str = "alice", **more: Any) -> StoredFuture:
    fields: dict[str, Any] = {
        "scope": f"{principal}/chat",
        "server": "web",
        "tool": "search",
        "tool_name": "web_search",
        "state": FutureState.RUNNING,
        "created_at": 1000.0,
        **more,
    }
    return StoredFuture(future=future, token=token, principal=principal, **fields)


def settled(future: str = "id-1", expires_at: float = 2000.0, **more: Any) -> StoredFuture:
    fields: dict[str, Any] = {
        "state": FutureState.RESOLVED,
        "settled_at": 1500.0,
        "expires_at": expires_at,
        "result": {"content": [{"type": "text", "text": "done"}]},
        **more,
    }
    return row(future, **fields)


def same(found: StoredFuture | None, put: StoredFuture) -> bool:
    """Whether that row was found; a store may keep hashes of its identity and token."""
    if found is None or found.token not in ("", put.token):
        return False
    return replace(found, future=put.future, token=put.token) == put
