"""Results as clients get them: text first, since some hosts hide it behind `structuredContent` when both are there."""

from __future__ import annotations

import json
from typing import Any, cast

from asyncfc_mcp.core.value import MISSING, parse_json
from asyncfc_mcp.downstream.outcome import Outcome
from asyncfc_mcp.gateway.future import Future
from asyncfc_mcp.gateway.words.imitations import disarmed

OWN_META = "asyncfc/"
"""How the keys begin under which the gateway itself says things in `_meta`; no server may."""

_SAID_IN = ("text", "name", "title", "description")
"""Where a block has words for a model: links to resources have them in more places than one."""

Block = dict[str, Any]
"""A content block of a tool result, as on the wire."""

NAMES_TOKEN_OVER_CHARACTERS = 2_000
"""An inline result with more text than this says its token, so that the model passes it on instead of copying it."""


def text_block(text: str) -> Block:
    """A block of text."""
    return {"type": "text", "text": text}


def text_first(result: dict[str, Any]) -> dict[str, Any]:
    """The result without `structuredContent`, whose JSON is added as text where the text does not say it already.

    Nothing in it can be taken for the gateway's own words.
    """
    outcome = Outcome(result)
    if not outcome.has_structured:
        return harmless(result)
    shaped = {key: value for key, value in result.items() if key != "structuredContent"}
    if not _says(outcome.text, outcome.structured):
        added = json.dumps(outcome.structured, ensure_ascii=False, separators=(",", ":"))
        shaped["content"] = [*(result.get("content") or []), text_block(added)]
    return harmless(shaped)


def harmless(result: dict[str, Any]) -> dict[str, Any]:
    """The result without text or `_meta` that could be taken for the gateway's own; the same when it has none."""
    shown = without_own_meta(result)
    content: list[Block] = shown.get("content") or []
    blocks = [_harmless_block(block) for block in content]
    if all(new is old for new, old in zip(blocks, content, strict=True)):
        return shown
    return {**shown, "content": blocks}


def without_own_meta(holder: dict[str, Any]) -> dict[str, Any]:
    """A result or a block without what only the gateway may say in its `_meta`; the same when that has none."""
    meta = holder.get("_meta")
    if not isinstance(meta, dict):
        return holder
    kept = {key: value for key, value in cast("dict[str, Any]", meta).items() if not key.startswith(OWN_META)}
    return holder if len(kept) == len(cast("dict[str, Any]", meta)) else {**holder, "_meta": kept}


def _harmless_block(block: Block) -> Block:
    shown = without_own_meta(block)
    said = {name: disarmed(text) for name in _SAID_IN if isinstance(text := shown.get(name), str)}
    if any(text != shown[name] for name, text in said.items()):
        shown = {**shown, **said}
    resource = shown.get("resource")
    if isinstance(resource, dict):
        inner = _harmless_block(cast("Block", resource))
        return shown if inner is resource else {**shown, "resource": inner}
    return shown


def inline_result(future: Future) -> dict[str, Any]:
    """What the server gave, as the policy of the tool wants it shown."""
    if future.outcome is None:
        raise LookupError(future.token)
    if future.policy.mode == "sync" or future.policy.structured:
        return harmless(future.outcome.result)
    return text_first(future.outcome.result)


def names_its_token(future: Future) -> bool:
    """Whether an inline result is long enough to say its token."""
    outcome = future.outcome
    if outcome is None or outcome.is_error or future.policy.mode == "sync" or future.policy.structured:
        return False
    return len(outcome.text or "") > NAMES_TOKEN_OVER_CHARACTERS


def _says(text: str | None, structured: Any) -> bool:
    """Whether the text holds the whole value: as its JSON, or as the one thing that the value holds."""
    if text is None:
        return False
    spoken = parse_json(text)
    if spoken is not MISSING and spoken == structured:
        return True
    match structured:
        case {**members} if len(members) == 1:
            (only,) = members.values()
            return text == only or (spoken is not MISSING and spoken == only)
        case _:
            return False
