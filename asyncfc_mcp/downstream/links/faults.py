"""How a transport says, as a JSON-RPC error in the place of an answer, why no answer can come."""

from __future__ import annotations

import httpx2
from mcp_types import ErrorData

from asyncfc_mcp.downstream.sign_in.credentials import NotSignedIn
from asyncfc_mcp.errors import GatewayError

UNREACHABLE = "asyncfc/unreachable"
"""`data` of the error that stands for a request that never reached the server."""
BROKEN_OFF = "asyncfc/broken_off"
"""`data` of the error that stands for a request whose answer can no longer come."""
FORGOTTEN = "asyncfc/forgotten"
"""`data` of the error that stands for a request refused because the server has ended our session."""
NOT_SIGNED_IN = "asyncfc/not_signed_in"
"""`data` of the error that stands for a request that was refused, or not sent, for want of a sign-in."""
TRANSPORT_FAULTS = (UNREACHABLE, BROKEN_OFF, FORGOTTEN, NOT_SIGNED_IN)

TRANSPORT_FAULT_CODE = -32000


def fault_of(error: httpx2.TransportError | GatewayError) -> ErrorData:
    """What a request that failed so is answered with."""
    match error:
        case NotSignedIn():
            kind, message = NOT_SIGNED_IN, str(error)
        case GatewayError():
            kind, message = UNREACHABLE, str(error)
        case httpx2.ConnectError() | httpx2.ConnectTimeout():
            kind, message = UNREACHABLE, f"the server cannot be reached ({type(error).__name__})"
        case _:
            kind, message = BROKEN_OFF, f"the connection broke off ({type(error).__name__})"
    return ErrorData(code=TRANSPORT_FAULT_CODE, message=message, data=kind)
