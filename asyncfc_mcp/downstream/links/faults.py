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
TOO_LARGE = "asyncfc/too_large"
"""`data` of the error that stands for an answer over the limit; its message says how large it is."""
NO_ANSWER = "asyncfc/no_answer"
"""`data` of the error that stands for a status of 500 and above in the place of an answer: it may come from a proxy,
behind which the server is still at work."""
TRANSPORT_FAULTS = (UNREACHABLE, BROKEN_OFF, FORGOTTEN, NOT_SIGNED_IN, TOO_LARGE)

TRANSPORT_FAULT_CODE = -32000


LEAST_READ_BYTES = 4 * 2**20
"""Messages of this size are read whatever the limit for results is: lists and notifications are none."""


def most_read_bytes(max_result_bytes: int) -> int:
    """How large a message may be, so that a result at its limit can be read."""
    return max(max_result_bytes, LEAST_READ_BYTES)


def how_large(size_bytes: int, limit_bytes: int, *, at_least: bool = False) -> str:
    """An answer over the limit, in words."""
    more = "at least " if at_least else ""
    return f"it is {more}{size_bytes / 2**20:.4g} MB long, and the limit is {limit_bytes / 2**20:.4g} MB"


def too_large(size_bytes: int, max_result_bytes: int, *, at_least: bool = False) -> ErrorData:
    """What a request is answered with whose answer was too large to be read."""
    words = how_large(size_bytes, most_read_bytes(max_result_bytes), at_least=at_least)
    return ErrorData(code=TRANSPORT_FAULT_CODE, message=words, data=TOO_LARGE)


def fault_of(error: httpx2.RequestError | GatewayError) -> ErrorData:
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
