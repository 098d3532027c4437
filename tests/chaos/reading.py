"""What an answer of the gateway says, as far as the chaos suite has to understand it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from tests.chaos import payload
from tests.chaos.history import Call, Settled

Json = dict[str, Any]
Kind = Literal["token", "settled", "pending", "refused", "unknown", "elsewhere", "strange"]

_CONNECTION_CLOSED, _REQUEST_CANCELLED = -32000, -32800
_TOKEN = r"fut_[0-9a-z_]+"
_FAILED = re.compile(r"\A(?:\[\w+\] )?(?:fut_\S+|the call) \([^)]*\) failed \((\w+)\): ")
_CANCELLED = re.compile(r"\A(?:\[\w+\] )?(?:fut_\S+|the call) \([^)]*\) was cancelled")
_GONE = ("is not known", "is mistyped", "is not kept any more")
_UNKEPT = re.compile(rf"\A({_TOKEN}) \([^)]*\) has settled, and how cannot be stored")
_STATE = re.compile(rf"\A({_TOKEN}) \(([^:)]+): ([^)]+)\) (\w+)")
_HEAD = re.compile(r"\A=== (fut_\S+) \([^)]*\) (\w+) ===")

_LONG = re.compile(r'write "(fut_\S+)" as the argument')
_FENCE = re.compile(r"\A--- (\w+) results of your earlier calls")
_ATTACHED = re.compile(rf"\A\[(\w+)\] ({_TOKEN}) \(([^:)]+): ([^)]+)\) (\w+):")
_ATTACHED_FAILURE = re.compile(rf"\A\[(\w+)\] ({_TOKEN}) \(")
_NOT_STARTED = re.compile(r"Not started because of it: (.*?)(?: and \d+ more)?\.\Z", re.DOTALL)


@dataclass(slots=True)
class Seen:
    """One answer, understood."""

    kind: Kind
    settled: Settled | None = None
    token: str = ""
    text: str = ""
    attached: list[tuple[str, Settled | None]] = field(default_factory=list[tuple[str, Settled | None]])
    """Results of other calls that came with it, by token; None where only the fact that it is ready was told."""
    is_part: bool = False
    """Whether a value was there that was too long to be shown whole."""


def texts_of(result: Json) -> list[str]:
    content: list[Json] = result.get("content") or []
    return [str(block.get("text", "")) for block in content]


def seen_in(message: Json, call: Call) -> Seen:
    """What the answer to a call, or to a question about one future, says of it."""
    if "error" in message:
        return _seen_in_error(message["error"])
    result = cast("Json", message["result"])
    texts, attached = split_attached(texts_of(result))
    meta = cast("Json", result.get("_meta") or {})
    told = cast("Json", meta.get("asyncfc/future") or {})
    seen = _seen_in_texts(texts, call, is_error=bool(result.get("isError")), is_token=bool(told))
    seen.token = str(told.get("token", "")) or seen.token
    seen.attached = attached
    return seen


def seen_by_get(message: Json, call: Call) -> Seen:
    """What `get_future` says: a line on the state, then the value."""
    if "error" in message:
        return _seen_in_error(message["error"])
    texts, attached = split_attached(texts_of(message["result"]))
    line = _STATE.match(texts[0]) if texts else None
    if line is None:
        seen = _seen_in_texts(texts, call, is_error=bool(message["result"].get("isError")), is_token=False)
    elif line[4] not in {"resolved", "failed", "cancelled"}:
        seen = Seen("pending", text=texts[0])
    elif len(texts) > 1 and texts[1].startswith("Characters "):
        seen = Seen("pending", text=texts[0], is_part=True)
    else:
        seen = _seen_in_texts(texts[1:], call, is_error=bool(message["result"].get("isError")), is_token=False)
        if seen.settled is not None and seen.settled.state != line[4]:
            seen = Seen("strange", text="\n".join(texts))
    seen.attached = attached
    return seen


def seen_in_awaited(message: Json, calls: dict[str, Call]) -> dict[str, Seen]:
    """What an `await_future` of several says of each that has settled."""
    if "error" in message:
        return {token: _seen_in_error(message["error"]) for token in calls}
    texts, attached = split_attached(texts_of(message["result"]))
    if message["result"].get("isError"):
        token = next((one for one in calls if texts and texts[0].split(" ", 1)[0].startswith(one)), "")
        return {token: _seen_in_texts(texts, calls[token], is_error=True, is_token=False)} if token else {}
    seen: dict[str, Seen] = {}
    for index, text in enumerate(texts):
        if (head := _HEAD.match(text)) and head[1] in calls and index + 1 < len(texts):
            is_error = head[2] != "resolved"
            seen[head[1]] = _seen_in_texts([texts[index + 1]], calls[head[1]], is_error=is_error, is_token=False)
    if seen:
        next(iter(seen.values())).attached = attached
    return seen


def settled_in_json(described: Json, call: Call) -> Settled | None:
    """What `future://` says."""
    state = described.get("state")
    if state not in {"resolved", "failed", "cancelled"}:
        return None
    if state == "resolved":
        value = described.get("value")
        return Settled("resolved", text=value if isinstance(value, str) else json.dumps(value))
    if state == "cancelled":
        return Settled("cancelled")
    failure = cast("Json", described.get("failure") or {})
    return Settled("failed", str(failure.get("reason", "?")), str(failure.get("message", "")))


def is_unkept(message: str) -> bool:
    """Whether it says that a settled future will be told once there is room to store it."""
    return _UNKEPT.match(message) is not None


def is_gone(message: str) -> bool:
    """Whether it says that a token means nothing, or that its value is nowhere."""
    return any(words in message for words in _GONE)


def _seen_in_error(error: Json) -> Seen:
    said = f"{error.get('code')}: {error.get('message', '')}"
    if "gateway itself" in said:
        return Seen("strange", text=said)
    return Seen("settled", Settled("failed", "rpc_error", said))


def is_end_of_connection(message: Json) -> bool:
    """Whether the gateway says that it ends before it could answer."""
    return "error" in message and message["error"].get("code") in {_CONNECTION_CLOSED, _REQUEST_CANCELLED}


def _seen_in_texts(texts: list[str], call: Call, *, is_error: bool, is_token: bool) -> Seen:
    first = texts[0] if texts else ""
    if is_token:
        return Seen("token", text=first)
    if not is_error:
        if first.startswith("Still unsettled after"):
            return Seen("pending", text=first)
        token = _LONG.search(texts[-1]) if len(texts) > 1 else None
        return Seen("settled", Settled("resolved", text=first), token[1] if token else "")
    if first == payload.broken(call.id):
        return Seen("settled", Settled("failed", "tool_error", first))
    if failed := _FAILED.match(first):
        return Seen("settled", Settled("failed", failed[1], first))
    if _CANCELLED.match(first):
        return Seen("settled", Settled("cancelled", text=first))
    if unkept := _UNKEPT.match(first):
        return Seen("pending", token=unkept[1], text=first)
    if is_gone(first):
        return Seen("unknown", text=first)
    if call.server == "memory" and "JSON" in first:  # killed while it wrote its file, it cannot read that any more
        return Seen("settled", Settled("failed", "tool_error", first))
    if "another" in first and ("window" in first or "gateway" in first):
        return Seen("elsewhere", text=first)
    return Seen("refused", text=first)


def split_attached(texts: list[str]) -> tuple[list[str], list[tuple[str, Settled | None]]]:
    """The answer's own texts, and what was attached to them."""
    start = next((index for index, text in enumerate(texts) if _FENCE.match(text)), None)
    if start is None:
        return texts, []
    attached: list[tuple[str, Settled | None]] = []
    rest = texts[start + 1 : -1]
    while rest:
        head, *rest = rest
        if value := _ATTACHED.match(head):
            attached.append((value[2], Settled("resolved", text=rest[0] if rest else "")))
            rest = rest[1:]
        elif named := _ATTACHED_FAILURE.match(head):
            attached += _failures(named[2], head)
        else:
            attached.append(("", None))
    return texts[:start], attached


def _failures(token: str, text: str) -> list[tuple[str, Settled | None]]:
    if "is ready; read it" in text:
        return [(token, None)]
    if _CANCELLED.match(text):
        first: Settled | None = Settled("cancelled", text=text)
    else:
        failed = _FAILED.match(text)
        first = Settled("failed", failed[1], text) if failed else None
    members = _NOT_STARTED.search(text)
    more = members[1].split(", ") if members else []
    return [(token, first), *((one, Settled("failed", "poisoned", text)) for one in more if one.startswith("fut_"))]


def cancelled_at_once(message: Json, token: str) -> bool:
    """Whether `cancel_future` says that the call had not begun."""
    if "error" in message:
        return False
    lines = "\n".join(texts_of(message["result"])).splitlines()
    return any(line.startswith(f"{token} (") and re.search(r"\) cancelled\Z", line) for line in lines)


def json_of(text: str) -> Json:
    return cast("Json", json.loads(text))
