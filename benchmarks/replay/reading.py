"""What a model reads in an answer: the value or the token of its call, and results of earlier calls that came along."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mcp_types import CallToolResult, TextContent

_FENCE = re.compile(r"--- (\w+) results of your earlier calls")
_HEAD = re.compile(r"=== (fut_\S+) \(.*\) (\w+) ===")
_PASS_ON = "[To pass this result on, write "
_NOTHING = "Nothing is unsettled."
_PENDING = "Still unsettled after "


@dataclass(frozen=True, slots=True)
class Said:
    """A result as the model has read it."""

    text: str
    is_error: bool


@dataclass(frozen=True, slots=True)
class Heard:
    """All that an answer says."""

    own: Said | None
    """None: a token, or what was awaited is not there yet."""
    token: str | None
    results: Mapping[str, Said]
    """By token: what was attached, and each of several that were awaited."""


def heard_from_call(result: CallToolResult) -> Heard:
    """Read the answer to a tool call."""
    own, attached = _parts(result)
    future: dict[str, str] | None = (result.meta or {}).get("asyncfc/future")
    if future is not None and future["state"] not in ("resolved", "failed", "cancelled"):
        return Heard(None, future["token"], attached)
    return Heard(Said("\n".join(own), result.is_error or False), None, attached)


def heard_from_await(result: CallToolResult, tokens: Sequence[str]) -> Heard:
    """Read the answer to an await of these tokens, or of all that was unsettled."""
    own, attached = _parts(result)
    if own == [_NOTHING]:
        return Heard(None, None, attached)
    if len(tokens) != 1:
        return Heard(None, None, attached | _headed(own))
    if own and own[0].startswith(_PENDING):
        return Heard(None, None, attached)
    return Heard(None, None, attached | {tokens[0]: Said("\n".join(own), result.is_error or False)})


def _parts(result: CallToolResult) -> tuple[list[str], dict[str, Said]]:
    texts = [block.text for block in result.content if isinstance(block, TextContent)]
    places = [(place, fence[1]) for place, text in enumerate(texts) if (fence := _FENCE.match(text))]
    if not places:
        return [text for text in texts if not text.startswith(_PASS_ON)], {}
    place, nonce = places[-1]
    return [text for text in texts[:place] if not text.startswith(_PASS_ON)], _attached(texts[place + 1 : -1], nonce)


def _attached(texts: Sequence[str], nonce: str) -> dict[str, Said]:
    head = re.compile(rf"\[{nonce}\] (fut_\S+) \(.*?\) (resolved:$|failed|was cancelled|is ready)", re.DOTALL)
    found: dict[str, list[str]] = {}
    failed: dict[str, Said] = {}
    token = ""
    for text in texts:
        begins = head.match(text)
        if begins is None:
            found.setdefault(token, []).append(text)
        elif begins[2] == "resolved:":
            token = begins[1]
            found[token] = []
        elif begins[2] != "is ready":  # a notice says no value
            failed[begins[1]] = Said(text, is_error=True)
    return {token: Said("\n".join(said), is_error=False) for token, said in found.items()} | failed


def _headed(texts: Sequence[str]) -> dict[str, Said]:
    found: dict[str, list[str]] = {}
    states: dict[str, str] = {}
    token = ""
    for text in texts:
        head = _HEAD.fullmatch(text)
        if head is not None:
            token = head[1]
            found[token], states[token] = [], head[2]
        elif not text.startswith(_PENDING):
            found[token].append(text)
    return {token: Said("\n".join(said), states[token] != "resolved") for token, said in found.items()}
