"""What requests without a session say of their client: read once for all that say the same.

The SDK makes a connection for each such request, of which the checks of its envelope are the larger part; but nothing
of it belongs to that one request.
"""

from __future__ import annotations

from typing import Any

from mcp.server.connection import Connection, NotifyOnlyOutbound
from mcp.server.lowlevel.server import Server
from mcp.server.runner import ServerRunner
from mcp.shared.inbound import InboundModernRoute
from pydantic_core import to_json

_MOST = 100
_LONGEST_BYTES = 10_000
"""Of an envelope that is remembered."""


class Envelopes:
    """Finds what answers a request.

    Args:
        server: has the handlers.
        state: of the server's lifespan.
        outbound: the way to the client outside of its requests, where there is one.
    """

    def __init__(self, server: Server[Any], state: Any, outbound: NotifyOnlyOutbound | None = None) -> None:
        self._server = server
        self._state = state
        self._channel = {} if outbound is None else {"outbound": outbound}
        self._runners: dict[bytes, ServerRunner[Any]] = {}

    def runner(self, route: InboundModernRoute) -> ServerRunner[Any]:
        """What answers a request with that envelope."""
        said = to_json((route.protocol_version, route.client_info, route.client_capabilities), inf_nan_mode="constants")
        known = self._runners.get(said)
        if known is not None:
            return known
        connection = Connection.from_envelope(
            route.protocol_version, route.client_info, route.client_capabilities, **self._channel
        )
        runner = ServerRunner(self._server, connection, self._state)
        if len(said) <= _LONGEST_BYTES:
            if len(self._runners) == _MOST:
                del self._runners[next(iter(self._runners))]
            self._runners[said] = runner
        return runner
