"""Whether what a server asks can be put to its user's client at all: what is no question would break the asking."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from mcp_types.methods import validate_server_result
from pydantic import ValidationError

from asyncfc_mcp.downstream.claims import Claims
from asyncfc_mcp.downstream.outcome import InputRefused

_REVISION = "2026-07-28"
_LONGEST_NAME = 80


def read_question(request: object) -> tuple[str, Mapping[str, Any]]:
    """The method and the params of what a server asks: a `{"method": …, "params": …}` of the wire.

    Raises:
        InputRefused: it is none.
    """
    if not isinstance(request, Mapping):
        raise InputRefused("the server asks for something that is no request")
    asked = cast("Mapping[str, Any]", request)
    method: object = asked.get("method")
    params: object = asked.get("params") or {}
    if not isinstance(method, str):
        raise InputRefused("the server asks for something without a method")
    if not isinstance(params, Mapping) or not isinstance(
        cast("Mapping[str, Any]", params).get("_meta"), Mapping | None
    ):
        raise InputRefused(f"{_name(method)} of the server is malformed: its params or their _meta are no object")
    return method, cast("Mapping[str, Any]", params)


def check_question(claims: Claims, request: object) -> None:
    """See that the client of these claims can be asked that: a `{"method": …, "params": …}` of the wire.

    Raises:
        InputRefused: it is malformed, or the client does not say that it can answer it.
    """
    method, params = read_question(request)
    if not claims.can_answer(method, params):
        raise InputRefused(f"the client behind the call cannot answer {_name(method)}")
    if claims.era == "modern":
        _check_as_result(_name(method), cast("Mapping[str, Any]", request))


def can_be_asked(claims: Claims, request: object) -> bool:
    """Whether the client of these claims can be asked that."""
    try:
        check_question(claims, request)
    except InputRefused:
        return False
    return True


def _name(method: str) -> str:
    return method[:_LONGEST_NAME]


def _check_as_result(name: str, request: Mapping[str, Any]) -> None:
    """A modern client gets it in the result of its own request, which must not be refused for it on its way out."""
    result = {"resultType": "input_required", "inputRequests": {"asked": request}}
    try:
        validate_server_result("tools/call", _REVISION, result)
    except ValidationError:
        raise InputRefused(f"{name} of the server is malformed: its params are not those of {_REVISION}") from None
