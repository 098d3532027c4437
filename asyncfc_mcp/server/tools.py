"""The gateway's own tools: what they are called, what they say to a model, and what they answer."""

from __future__ import annotations

import json
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import anyio

from asyncfc_mcp.core.future import FutureState
from asyncfc_mcp.core.reference import JsonPath, find_references
from asyncfc_mcp.core.token import normalise
from asyncfc_mcp.core.value import ANY_SLOT, BadSubstitution, select
from asyncfc_mcp.downstream.offers import Offers
from asyncfc_mcp.downstream.status import ConnectionState
from asyncfc_mcp.errors import GatewayError
from asyncfc_mcp.gateway.caller import Caller
from asyncfc_mcp.gateway.future import Future
from asyncfc_mcp.gateway.gateway import Gateway
from asyncfc_mcp.gateway.intake.submission import NAME_WAIT_S
from asyncfc_mcp.gateway.keeping.keeper import NotKeptYet
from asyncfc_mcp.gateway.keeping.values import ValueGone, in_words_gone
from asyncfc_mcp.gateway.questions.asking import Question
from asyncfc_mcp.gateway.requester import Requester
from asyncfc_mcp.gateway.table import UnknownToken
from asyncfc_mcp.gateway.words import wording
from asyncfc_mcp.gateway.words.imitations import cleaned, disarmed, one_line
from asyncfc_mcp.gateway.words.shaping import Block, text_block, text_first
from asyncfc_mcp.server.crowd import Crowd

LONGEST_PART_CHARACTERS = 20_000
"""What `get_future` gives at once when no limit is asked for."""

MOST_LISTED = 100
MOST_NAMED = 10_000
"""Tokens in one request."""
_MOST_COLLISIONS = 20
_LONGEST_LINE = 500

_FUTURES = {
    "type": "array",
    "items": {"type": "string"},
    "description": 'Tokens, or parts such as "fut_x/items/0". Empty: all that is unsettled.',
}


class BadToolArgument(GatewayError):
    """An argument of one of our own tools that cannot be used."""

    def __init__(self, tool: str, argument: str, value: object, allowed: str) -> None:
        shown = json.dumps(value, default=str)[:80]
        super().__init__(f"{tool}: {argument} is {shown}; allowed: {allowed}")
        self.argument = argument


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of one of our tools, and the futures whose end it tells."""

    content: list[Block]
    futures: Sequence[Future] = ()
    is_error: bool = False
    questions: tuple[Question, ...] = ()
    """What the client has to be asked before there can be an answer."""
    still_awaited: Future | None = None
    """The one future that was awaited for as long as the client lets a request wait, and longer was wanted."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A future that was asked for, or a part of its value."""

    future: Future
    path: JsonPath
    text: str


def own_tools() -> list[dict[str, Any]]:
    """The tools as clients see them."""
    return [
        _tool(
            "await_future",
            "Wait for futures to settle and get their values, all in one call. The wait is on the server: do not poll. "
            "A time-out is no error and cancels nothing.",
            {
                "futures": _FUTURES,
                "mode": {"type": "string", "enum": ["all", "any"], "description": "any: return with the first."},
                "timeout_s": {
                    "type": "number",
                    "minimum": 0,
                    "description": "Seconds; cut to what your client allows.",
                },
            },
            is_read_only=True,
        ),
        _tool(
            "get_future",
            "Look at one future without waiting: its state, why it waits, its progress, and its value or a part of it. "
            "To wait, use await_future.",
            {
                "future": {"type": "string", "description": 'A token, or a part such as "fut_x/items/0".'},
                "path": {"type": "string", "description": "JSON Pointer into the value, such as /items/0."},
                "offset": {"type": "integer", "minimum": 0, "description": "First character wanted."},
                "limit": {"type": "integer", "minimum": 1, "description": "How many characters."},
            },
            required=["future"],
            is_read_only=True,
        ),
        _tool(
            "cancel_future",
            "Stop calls whose results are not needed any more. What has settled stays as it is.",
            {"futures": _FUTURES | {"description": "Tokens."}, "reason": {"type": "string"}},
            required=["futures"],
            is_read_only=False,
        ),
        _tool(
            "list_futures",
            "List your futures and their states, and the servers that are not available.",
            {"state": {"type": "string", "enum": ["unsettled", *FutureState], "description": "Only these."}},
            is_read_only=True,
        ),
    ]


def _tool(
    name: str, description: str, properties: dict[str, Any], *, is_read_only: bool, required: Sequence[str] = ()
) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        schema["required"] = list(required)
    hints = {"readOnlyHint": True} if is_read_only else {"readOnlyHint": False, "destructiveHint": True}
    return {
        "name": name,
        "description": description,
        "inputSchema": schema,
        "annotations": hints | {"openWorldHint": False},
        "_meta": {"anthropic/alwaysLoad": True},
    }


class OwnTools:
    """Answers calls of the gateway's own tools."""

    def __init__(self, gateway: Gateway, offers: Offers, crowd: Crowd) -> None:
        self._gateway = gateway
        self._crowd = crowd
        self._offers = offers
        self._by_name: dict[str, Callable[[Caller, Mapping[str, Any], Requester], Awaitable[Answer]]] = {
            "await_future": self._await,
            "get_future": self._get,
            "cancel_future": self._cancel,
            "list_futures": self._list,
        }

    def __contains__(self, name: object) -> bool:
        """Whether a tool is ours."""
        return name in self._by_name

    async def call(
        self, caller: Caller, name: str, arguments: Mapping[str, Any] | None, requester: Requester
    ) -> Answer:
        """Answer one call.

        Raises:
            GatewayError: the arguments are of no use.
        """
        answer = await self._by_name[name](caller, arguments or {}, requester)
        for future in answer.futures:
            # another chat's model has not seen what this one reads
            if future.caller.scope == caller.scope:
                self._gateway.delivery.tell(future)
        self._gateway.delivery.replied(caller)
        return answer

    # await_future

    async def _await(self, caller: Caller, arguments: Mapping[str, Any], requester: Requester) -> Answer:
        mode = arguments.get("mode") or "all"
        if mode not in ("all", "any"):
            raise BadToolArgument("await_future", "mode", mode, '"all" or "any"')
        wished_s = _number("await_future", "timeout_s", arguments.get("timeout_s"), math.inf)
        timeout_s = min(wished_s, caller.cap_s)
        await self._let_names_come(caller, arguments.get("futures"))
        wanted = self._wanted(caller, "await_future", arguments.get("futures"))
        if not wanted:
            return Answer([text_block("Nothing is unsettled.")])
        with self._crowd.awaiting(caller):
            questions = await self._gateway.wait(caller, [one.future for one in wanted], mode, timeout_s, requester)
        if questions:
            return Answer([], questions=questions)
        settled = [one for one in wanted if one.future.record.is_settled]
        pending = [one for one in wanted if not one.future.record.is_settled]
        # whoever names none cannot tell whose result it is without a header
        is_for_one = len(wanted) == 1 and bool(_tokens("await_future", arguments.get("futures")))
        unread = await self._unread(settled, may_raise=is_for_one)
        if is_for_one and settled:
            blocks, is_error = _result(wanted[0])
            return Answer(blocks, [wanted[0].future], is_error)
        content = [block for one in settled for block in self._headed(one, unread.get(one.future.token))]
        if pending and (mode == "all" or not settled):
            lines = [self._line(caller, one.future) for one in pending[:MOST_LISTED]]
            if len(pending) > MOST_LISTED:
                lines.append(f"and {len(pending) - MOST_LISTED} more")
            content.append(text_block(wording.await_timed_out(timeout_s, lines)))
        elif pending:
            more = f" and {len(pending) - MOST_LISTED} more" if len(pending) > MOST_LISTED else ""
            content.append(text_block("Unsettled: " + ", ".join(one.text for one in pending[:MOST_LISTED]) + more))
        is_cut_short = len(wanted) == len(pending) == 1 and not pending[0].path and wished_s > timeout_s
        still_awaited = pending[0].future if is_cut_short else None
        told = [one.future for one in settled if not isinstance(unread.get(one.future.token), NotKeptYet)]
        return Answer(content, told, still_awaited=still_awaited)

    async def _recall(self, caller: Caller, texts: Sequence[str], *, names: bool = True) -> None:
        """Have futures of earlier processes known, to be asked for like those of this one."""
        await self._gateway.recall(caller, *(_written(text) for text in texts), names=names)

    async def _let_names_come(self, caller: Caller, futures: object) -> None:
        """The calls that bear them may have been sent in the same message."""
        texts = _tokens("await_future", futures)
        await self._recall(caller, texts, names=False)
        with anyio.move_on_after(NAME_WAIT_S):
            for text in texts:
                try:
                    self._find(caller, "await_future", text)
                except UnknownToken as unknown:
                    await self._gateway.wait_for_name(caller, unknown.token)
        await self._recall(caller, texts)

    async def _unread(self, settled: Sequence[Wanted], *, may_raise: bool) -> Mapping[str, ValueGone | NotKeptYet]:
        """Have the values in memory; why some cannot be read, by token: the others can all the same."""
        unread: dict[str, ValueGone | NotKeptYet] = {}
        while True:
            rest = [one.future for one in settled if one.future.token not in unread]
            try:
                await self._gateway.values.load(rest)
            except (ValueGone, NotKeptYet) as fault:
                if may_raise:
                    raise
                unread |= dict.fromkeys(fault.tokens, fault)
            else:
                return unread

    def _headed(self, one: Wanted, unread: ValueGone | NotKeptYet | None) -> list[Block]:
        future = one.future
        state = "not stored yet" if isinstance(unread, NotKeptYet) else future.record.state
        head = text_block(f"=== {one.text} ({future.policy.server}: {future.tool_name}) {state} ===")
        match unread:
            case None:
                return [head, *_result(one)[0]]
            case ValueGone():
                return [head, text_block(in_words_gone(future.token))]
            case NotKeptYet():
                return [head, text_block(str(unread))]

    def _wanted(self, caller: Caller, tool: str, futures: object) -> list[Wanted]:
        texts = _tokens(tool, futures)
        if not texts:
            mine = (one for one in self._gateway.futures(caller) if one.caller.scope == caller.scope)
            return [Wanted(one, (), one.token) for one in mine if not one.record.is_settled]
        wanted = {text: self._find(caller, tool, text) for text in texts}
        distinct: dict[tuple[str, JsonPath], Wanted] = {}
        for one in wanted.values():
            distinct.setdefault((one.future.call.future, one.path), one)
        return list(distinct.values())

    def _find(self, caller: Caller, tool: str, text: str) -> Wanted:
        def exists(token: str) -> bool:
            return self._gateway.sees(caller, token)

        whole = normalise(text)
        if whole is not None and exists(whole):
            return Wanted(self._gateway.get(caller, whole), (), whole)
        written = _written(text)
        references = [one for one in find_references({"futures": written}, exists=exists) if not one.is_embedded]
        if references:
            reference = references[0]
            return Wanted(self._gateway.get(caller, reference.token), reference.path, reference.text.strip(" `<>"))
        token = normalise(written.split("/", 1)[0].split(".", 1)[0])
        if token is None:
            raise BadToolArgument(tool, "futures", text, 'tokens such as "fut_search_8k2m4x7qa"')
        self._gateway.get(caller, token)
        raise BadToolArgument(tool, "futures", text, f'{token}, or a part of it such as "{token}/key/0"')

    def _line(self, caller: Caller, future: Future) -> str:
        return wording.state_in_words(future, self._gateway.why_it_waits(future, caller))

    # get_future

    async def _get(self, caller: Caller, arguments: Mapping[str, Any], _: Requester) -> Answer:
        text = arguments.get("future")
        if not isinstance(text, str):
            raise BadToolArgument("get_future", "future", text, "one token")
        path = arguments.get("path") or ""
        if not isinstance(path, str) or (path and not path.startswith(("/", ".", "["))):
            raise BadToolArgument("get_future", "path", path, "a JSON Pointer such as /items/0")
        await self._recall(caller, [text])
        one = self._find(caller, "get_future", text + path)
        await self._gateway.hold_poll(caller, one.future)
        await self._gateway.values.load((one.future,))
        line = text_block(self._line(caller, one.future))
        if not one.future.record.is_settled:
            return Answer([line])
        offset = int(_number("get_future", "offset", arguments.get("offset"), 0))
        limit = int(_number("get_future", "limit", arguments.get("limit"), LONGEST_PART_CHARACTERS))
        is_whole = arguments.get("offset") is None and arguments.get("limit") is None
        blocks, is_error = _result(one)
        if is_whole and sum(len(str(block.get("text", ""))) for block in blocks) <= LONGEST_PART_CHARACTERS:
            return Answer([line, *blocks], [one.future], is_error)
        whole = "\n".join(str(block["text"]) for block in blocks if block.get("type") == "text")
        part = whole[offset : offset + min(limit, LONGEST_PART_CHARACTERS)]
        shown = disarmed(part)  # it may begin in the middle of a line
        note = f"Characters {offset} to {offset + len(part)} of {len(whole)}."
        return Answer([line, text_block(note), text_block(shown)], [one.future], is_error)

    # cancel_future and list_futures

    async def _cancel(self, caller: Caller, arguments: Mapping[str, Any], _: Requester) -> Answer:
        texts = _tokens("cancel_future", arguments.get("futures"))
        if not texts:
            raise BadToolArgument("cancel_future", "futures", arguments.get("futures"), "at least one token")
        await self._recall(caller, texts)
        futures = [one.future for one in self._wanted(caller, "cancel_future", texts)]
        was_settled = {future.call.future for future in futures if future.record.is_settled}
        reason = arguments.get("reason")
        self._gateway.cancel(futures, str(reason) if reason else "cancelled with cancel_future")
        await self._gateway.values.until_kept(futures)
        lines = [
            f"{self._line(caller, one)}{' already: unchanged' if one.call.future in was_settled else ''}"
            for one in futures
        ]
        return Answer([text_block("\n".join(lines))])

    async def _list(self, caller: Caller, arguments: Mapping[str, Any], _: Requester) -> Answer:
        state = arguments.get("state")
        if state is not None and state not in ("unsettled", *FutureState):
            raise BadToolArgument("list_futures", "state", state, ", ".join(["unsettled", *FutureState]))
        futures = [one for one in self._gateway.futures(caller) if _has_state(one, state)]
        older = len(futures) - MOST_LISTED
        lines = [f"{older} older ones are not shown."] if older > 0 else []
        lines += [self._line(caller, future) for future in futures[-MOST_LISTED:]] or ["No futures."]
        lines += [wording.OLDER_FUTURES] if self._gateway.remembers else []
        lines += [
            wording.server_in_words(key, status)
            for key, status in self._gateway.pool.statuses().items()
            if status.state is not ConnectionState.READY
        ]
        catalog = self._gateway.pool.catalog
        lines += _first([str(collision) for collision in catalog.collisions])
        lines += [wording.tools_changed(catalog.changed)] if catalog.changed else []
        lines += _first(self._offers.collisions)
        lines += wording.file_stands_apart(self._gateway.file_standing)
        return Answer([text_block("\n".join(lines))])


def _first(said: Sequence[str]) -> list[str]:
    """Lines that repeat names of servers, as many and as much of each as fits into an answer."""
    lines = [one_line(line, _LONGEST_LINE) for line in said[:_MOST_COLLISIONS]]
    return lines if len(said) <= _MOST_COLLISIONS else [*lines, f"and {len(said) - _MOST_COLLISIONS} more of that kind"]


def _has_state(future: Future, state: str | None) -> bool:
    if state is None:
        return True
    return not future.record.is_settled if state == "unsettled" else future.record.state == state


def _result(one: Wanted) -> tuple[list[Block], bool]:
    """The value of a settled future in the shape of an inline result, or how it failed."""
    future = one.future
    outcome = future.outcome
    state = future.record.state
    failure = future.record.failure
    if outcome is not None and state is not FutureState.CANCELLED and (failure is None or outcome.is_error):
        if one.path:
            try:
                part = select(future.value(), one.path, ANY_SLOT, token=future.token)
            except BadSubstitution as miss:  # several are asked for at once: the others have their values
                return [text_block(cleaned(str(miss)))], True
            said = part if isinstance(part, str) else json.dumps(part, ensure_ascii=False)
            return [text_block(disarmed(said))], False
        return text_first(outcome.result).get("content") or [], outcome.is_error
    settled_as = text_block(wording.without_value(future))
    if future.late is None:
        return [settled_as], True
    came = text_block(wording.late(future.late_s, is_error=future.late.is_error))
    return [settled_as, came, *(text_first(future.late.result).get("content") or [])], True


def _written(text: str) -> str:
    """A token that a model has written, with the beginning that it may have left out."""
    return text if text.strip(" `<>").lower().startswith("fut_") else f"fut_{text.strip()}"


def _tokens(tool: str, futures: object) -> list[str]:
    """One token, several, or a JSON list in a string, as a list."""
    tokens = _listed(tool, futures)
    if len(tokens) > MOST_NAMED:
        raise BadToolArgument(tool, "futures", f"a list of {len(tokens)}", f"at most {MOST_NAMED} tokens at once")
    return tokens


def _listed(tool: str, futures: object) -> list[str]:
    if futures is None or futures == "":
        return []
    if isinstance(futures, str):
        stripped = futures.strip()
        if not stripped.startswith("["):
            return [part for part in (piece.strip() for piece in stripped.split(",")) if part]
        try:
            futures = json.loads(stripped)
        except (ValueError, RecursionError):
            raise BadToolArgument(tool, "futures", stripped, "a list of tokens") from None
    listed = cast("list[object]", futures) if isinstance(futures, list) else [None]
    if not all(isinstance(one, str) for one in listed):
        raise BadToolArgument(tool, "futures", cast("object", futures), "a list of tokens")
    return cast("list[str]", listed)


def _number(tool: str, argument: str, value: object, default: float) -> float:
    if value is None:
        return default
    try:
        number = float(cast("str", value))
    except (TypeError, ValueError, OverflowError):
        number = -1.0
    if isinstance(value, bool) or not 0 <= number < float("inf"):
        raise BadToolArgument(tool, argument, value, "a number that is not negative")
    return number
