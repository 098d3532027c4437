"""What the SDK is told of a request that does not come through its own dispatcher."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import anyio
from mcp.shared.dispatcher import CallOptions
from mcp.shared.transport_context import TransportContext
from mcp_types import ProgressToken, RequestId


@dataclass(slots=True, eq=False)
class RequestContext(ABC):
    """A `DispatchContext` of the SDK, as far as it is the same on all transports."""

    transport: TransportContext
    request_id: RequestId
    progress_token: ProgressToken | None

    @property
    def cancel_requested(self) -> anyio.Event:
        """Never set: a client that cancels has its request ended at once."""
        return anyio.Event()

    @abstractmethod
    async def notify(self, method: str, params: Mapping[str, Any] | None, opts: CallOptions | None = None) -> None:
        """Tell the client something before its answer."""

    async def progress(self, progress: float, total: float | None = None, message: str | None = None) -> None:
        """Tell the client how far its request is, if it asked for that."""
        if self.progress_token is None:
            return
        more = {key: value for key, value in (("total", total), ("message", message)) if value is not None}
        await self.notify(
            "notifications/progress", {"progressToken": self.progress_token, "progress": progress, **more}
        )
