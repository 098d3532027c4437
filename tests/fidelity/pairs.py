"""The same thing seen directly and through the gateway, and what a rule about their difference is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from mcp_types.methods import serialize_server_result

from tests.fidelity.doors import Era, Json
from tests.fidelity.gateways import MODES, Mode
from tests.fidelity.recording import Call
from tests.fidelity.surfaces import Step

Kind = Literal["introduction", "listing", "tool", "answer", "list", "step"]

SERVER_INFO = "io.modelcontextprotocol/serverInfo"
VERSIONS: dict[Era, str] = {"legacy": "2025-11-25", "auto": "2026-07-28"}
_ENVELOPE = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}


@dataclass(slots=True)
class Pair:
    """The same thing seen directly and through the gateway; both are copies that rules may change."""

    kind: Kind
    server: str
    era: Era
    direct: Json
    seen: Json
    call: Call | None = None
    direct_when_converted: Json | None = None
    """The direct answer to the arguments as the gateway converts them."""
    step: Step | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One difference."""

    name: str
    why: str
    kind: Kind
    take_out: Callable[[Pair], bool]
    """Makes the pair equal in this one respect; whether there was anything to do."""
    modes: tuple[Mode, ...] = MODES


def as_the_sdk_writes(pair: Pair) -> bool:
    """What the SDK makes of the server's result as it writes it: fields that the revision does not know are gone."""
    method = pair.step.method if pair.step is not None else "tools/call"
    version = VERSIONS[pair.era]
    result = result_of(pair.direct)
    questions: list[Json] = pair.direct.get("questions", [])
    written = as_written(method, version, result)
    asked = [_questionas_written(one, version) for one in questions]
    found = written != result or asked != questions
    if result:
        pair.direct["body"]["result"] = written
    if questions:
        pair.direct["questions"] = asked
    return found


def as_written(method: str, version: str, result: Json) -> Json:
    if not result:
        return result
    written = serialize_server_result(method, version, {**_ENVELOPE, **result})
    return {key: value for key, value in written.items() if key in result}


def _questionas_written(question: Json, version: str) -> Json:
    if version != VERSIONS["auto"]:
        return question  # before, questions are requests, and go as they are
    asking = {"resultType": "input_required", "inputRequests": {"": question}}
    return serialize_server_result("tools/call", version, asking)["inputRequests"][""]


def result_of(answer: Json) -> Json:
    """The result of an answer; nothing when it is an error."""
    return answer["body"].get("result", {})


def drop_empty_meta(body: Json) -> None:
    """Take out a `_meta` that says nothing any more."""
    if body.get("_meta") == {}:
        del body["_meta"]
