"""What is kept of a call beside its row: the only place that knows how it is written as JSON, and how that is read.

Of a settled call that is how its result is shown. Of an unsettled one it is also all that the next process needs to go
on with it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from asyncfc_mcp.config.models import Mode, ServerEntry
from asyncfc_mcp.config.policy import LabelSource, ToolHints, ToolPolicy
from asyncfc_mcp.core.label import Label
from asyncfc_mcp.core.reference import Reference
from asyncfc_mcp.downstream.catalog import CatalogTool
from asyncfc_mcp.downstream.outcome import RpcError
from asyncfc_mcp.gateway.caller import Caller
from asyncfc_mcp.gateway.future import Future
from asyncfc_mcp.store.base import StoredFuture

_VERSION = 1


@dataclass(frozen=True, slots=True)
class Work:
    """What is needed to go on with a call."""

    caller: Caller
    labels: tuple[Label, ...]
    references: tuple[Reference, ...]
    needs: dict[str, str]
    """The identities of the futures that it refers to, by the token in the references."""
    fingerprint: str
    """Of its server's entry in the configuration."""
    may_repeat: bool
    is_out: bool
    resumptions: int
    """How many processes have gone on with it."""
    # As they came: reading them into types would lose what those do not know.
    arguments: Any = None
    meta: Any = None
    input_responses: Any = None


@dataclass(frozen=True, slots=True)
class KeptError:
    """The JSON-RPC error that a server answered with."""

    code: int
    message: str
    data: Any = None


@dataclass(frozen=True, slots=True)
class KeptCall:
    """What a row does not say of a future."""

    mode: Mode
    structured: bool
    wraps_result: bool
    is_named: bool = False
    future: str | None = None
    """Its identity; None where that is its token, and whoever asks knows it."""
    token: str | None = None
    rpc_error: KeptError | None = None
    digest: str | None = None
    """Of the tool and the arguments of a call with a key."""
    origins: tuple[str, ...] = ()
    """The servers that its value is made from, its own aside."""
    late_s: float | None = None
    """How long after it had settled its server answered all the same."""
    work: Work | None = None

    def tool(self, row: StoredFuture) -> CatalogTool:
        """A tool that shows results as the one did that was called, which may be gone."""
        policy = ToolPolicy(
            server=row.server,
            tool=row.tool,
            mode=self.mode,
            inline_wait_s=0.0,
            timeout_s=0.0,
            cancel_grace_s=0.0,
            structured=self.structured,
            label_source=LabelSource.DEFAULT,
            reads=(),
            writes=(),
            is_local=False,
            is_trusted=False,
            hints=ToolHints(),
        )
        listed: dict[str, Any] = {"name": row.tool, "inputSchema": {"type": "object"}}
        if self.wraps_result:
            listed["outputSchema"] = {"x-fastmcp-wrap-result": True}
        return CatalogTool(row.tool_name, row.server, listed, policy)


_CALLS = TypeAdapter(KeptCall)
UNWRITTEN = KeptCall("auto", structured=False, wraps_result=False)
"""What is taken for a call of which nothing was kept but its row."""


def write_call(future: Future, server: str) -> dict[str, Any]:
    """The call of a future as JSON; `server` is the fingerprint of its server's entry."""
    is_settled = future.record.is_settled
    is_sought = not is_settled or future.is_keyed
    error = future.rpc_error
    kept = KeptCall(
        mode=future.policy.mode,
        structured=future.policy.structured,
        wraps_result=future.wraps_result,
        is_named=future.is_named,
        future=future.call.future if is_sought or future.is_named else None,
        token=future.token if is_sought else None,
        rpc_error=KeptError(error.code, error.message, error.data) if error is not None else None,
        digest=future.digest,
        origins=tuple(sorted(future.origins - {future.policy.server})),
        late_s=future.late_s,
        work=None if is_settled else _work_of(future, server),
    )
    return {"version": _VERSION, **_CALLS.dump_python(kept, exclude_defaults=True)}


def read_call(row: StoredFuture) -> KeptCall | None:
    """What was written; None where nothing was, or another version of the gateway wrote something else."""
    written = dict(row.call or {})
    if written.pop("version", None) != _VERSION:
        return None
    try:
        return _CALLS.validate_python(written)
    except ValidationError:
        return None


def as_rpc_error(kept: KeptError | None) -> RpcError | None:
    """The error that a server answered with, to be raised or shown again."""
    return RpcError(kept.code, kept.message, kept.data) if kept is not None else None


def fingerprint(entry: ServerEntry) -> str:
    """A hash of a server's entry: what was meant for one server is not sent to another under its name."""
    return hashlib.sha256(json.dumps(entry.identity, sort_keys=True).encode()).hexdigest()


def _work_of(future: Future, server: str) -> Work:
    request = future.request
    return Work(
        caller=future.caller,
        labels=future.call.labels,
        references=request.references,
        needs={token: need.call.future for token, need in request.needs.items()},
        fingerprint=server,
        may_repeat=future.policy.may_repeat,
        is_out=future.is_out,
        resumptions=future.resumptions,
        arguments=request.arguments,
        meta=request.meta,
        input_responses=request.input_responses,
    )
