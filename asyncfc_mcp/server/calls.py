"""`tools/call`: from the request on the wire to the gateway, and from a future back to a result on the wire."""

from __future__ import annotations

import json
from typing import Any, cast

import mcp_types as types
import structlog
from mcp.server.lowlevel.server import Server
from mcp.shared.exceptions import MCPError

from asyncfc_mcp.config.models import GatewaySettings
from asyncfc_mcp.downstream.catalog import CatalogTool
from asyncfc_mcp.downstream.offers import Offers
from asyncfc_mcp.errors import GatewayError
from asyncfc_mcp.gateway.answering.turns import Turn, Wishes
from asyncfc_mcp.gateway.caller import Caller
from asyncfc_mcp.gateway.future import Future
from asyncfc_mcp.gateway.gateway import Gateway, UnknownTool
from asyncfc_mcp.gateway.intake.repeating import KEY_META_KEY, CallKey
from asyncfc_mcp.gateway.questions.asking import Question, shown_requests
from asyncfc_mcp.gateway.words import wording
from asyncfc_mcp.gateway.words.shaping import Block, text_block
from asyncfc_mcp.server.crowd import Crowd
from asyncfc_mcp.server.doorway import Context, Doorway
from asyncfc_mcp.server.requester import ContextRequester
from asyncfc_mcp.server.results import FUTURE_META_KEY, future_meta, settled_result
from asyncfc_mcp.server.roots import Roots, is_answer
from asyncfc_mcp.server.schema import own_arguments, split_arguments
from asyncfc_mcp.server.sessions import Sessions
from asyncfc_mcp.server.tasks.extension import Tasks
from asyncfc_mcp.server.tools import OwnTools
from asyncfc_mcp.server.wire import COMPLETE, as_mcp_error, passed_on_meta

DELIVERED_META_KEY = "asyncfc/delivered"

log = structlog.get_logger()


class QuestionLapsed(GatewayError):
    """A client answers a question that is no longer open."""

    def __init__(self) -> None:
        super().__init__("the question that this answers is no longer open, and its call is over; send the call again")


class Calls:
    """Answers calls of the servers' tools and of our own.

    Args:
        gateway: does the work.
        settings: how clients are shown things.
        doorway: who is behind a request.
        sessions: the legacy sessions that are alive.
        tasks: hands out futures to clients that know tasks.
        roots: what servers are given before they are called.
        crowd: how many requests may wait.
    """

    def __init__(
        self,
        gateway: Gateway,
        settings: GatewaySettings,
        doorway: Doorway,
        sessions: Sessions,
        tasks: Tasks,
        *,
        offers: Offers,
        roots: Roots,
        crowd: Crowd,
    ) -> None:
        self._gateway = gateway
        self._settings = settings
        self._doorway = doorway
        self._sessions = sessions
        self._tasks = tasks
        self._roots = roots
        self._own = OwnTools(gateway, offers, crowd)
        self._own_arguments: dict[str, frozenset[str]] = {}
        """By the name of a tool, which of its arguments are ours; worked out once for each state of the list."""
        self._listed = gateway.pool.catalog.version

    def register(self, server: Server[Any]) -> None:
        """Answer `tools/call`."""
        server.add_request_handler("tools/call", types.CallToolRequestParams, self._call_tool)

    async def _call_tool(self, context: Context, params: types.CallToolRequestParams) -> dict[str, Any]:
        request = context.request if context.request is not None else context.request_id
        arrived_at = self._gateway.delivery.take_expected_call(request)
        return COMPLETE | await self._answer_call(context, params, arrived_at)

    async def _answer_call(
        self, context: Context, params: types.CallToolRequestParams, arrived_at: float
    ) -> dict[str, Any]:
        caller = self._sessions.wanting_logs(self._doorway.caller(context))
        self._gateway.delivery.arrive(caller)
        self._roots.note(_responses(context))
        try:
            if params.name in self._own:
                return await self._call_own(caller, params, context)
            return await self._call_downstream(caller, params, context, arrived_at)
        except GatewayError as error:
            return self._with_attachments(caller, {"content": [text_block(str(error))], "isError": True}, ())
        except MCPError:
            raise
        except Exception:  # the SDK answers what it does not know with a bare number, and logs nothing of ours
            log.exception("request_broke", tool=params.name)
            raise MCPError(types.INTERNAL_ERROR, "The gateway itself failed; its log says why.") from None

    async def _call_own(self, caller: Caller, params: types.CallToolRequestParams, context: Context) -> dict[str, Any]:
        if params.request_state is not None:
            self._gateway.provide(_shown(params.request_state)["shown"], _responses(context))
        requester = ContextRequester(context, self._sessions.seen(context, caller), caller)
        answer = await self._own.call(caller, params.name, params.arguments, requester)
        if answer.questions:
            return _input_required(answer.questions, None)
        if answer.still_awaited is not None and self._tasks.replaces_answer(context, answer.still_awaited):
            return self._tasks.answer(answer.still_awaited)
        result = {"content": answer.content, **({"isError": True} if answer.is_error else {})}
        return self._with_attachments(caller, result, ())

    async def _call_downstream(
        self, caller: Caller, params: types.CallToolRequestParams, context: Context, arrived_at: float
    ) -> dict[str, Any]:
        tool = await self._find(params.name)
        arguments, wishes = self._split(tool, params.arguments)
        state, responses = _shown(params.request_state), _responses(context)
        question = await self._roots.before_call(caller, tool.server, state, responses)
        if question is not None:
            return question
        responses = self._roots.others(responses)
        requester = ContextRequester(context, self._sessions.seen(context, caller), caller)
        asked = self._answered(caller, tool, arguments, state, responses)
        if asked is not None:
            turn = await self._gateway.resume(asked, wishes, requester)
        else:
            turn = await self._gateway.call(
                caller,
                tool,
                arguments,
                wishes,
                meta=passed_on_meta(context),
                input_responses=responses or None,
                requester=requester,
                key=_key(context, caller, tool, arguments),
                is_lost=lambda: self._doorway.has_lost(context),
                arrived_at=arrived_at,
            )
        return self._answer(caller, turn, context)

    def _answer(self, caller: Caller, turn: Turn, context: Context) -> dict[str, Any]:
        future = turn.future
        if turn.questions:
            return _input_required(turn.questions, future)
        if not future.record.is_settled:
            if self._tasks.replaces_answer(context, future, is_its_own_request=True):
                return self._tasks.answer(future)
            pending = self._pending(future)
            return pending if "structuredContent" in pending else self._with_attachments(caller, pending, (future,))
        if future.rpc_error is not None:
            raise as_mcp_error(future.rpc_error)
        result = settled_result(future)
        if future.policy.mode == "sync" or result.get("structuredContent") is not None:
            return result
        return self._with_attachments(caller, result, (future,))

    def _answered(
        self,
        caller: Caller,
        tool: CatalogTool,
        arguments: dict[str, Any] | None,
        state: dict[str, Any],
        responses: dict[str, Any],
    ) -> Future | None:
        """The call that goes on now that its client has answered; None for a fresh call.

        Raises:
            QuestionLapsed: it is over.
        """
        if is_answer(state):
            return None
        if state:
            future = self._gateway.table.known(state["future"])
            if future is None or not future.is_shown:
                raise QuestionLapsed
            self._gateway.provide(state["shown"], responses)
            return future
        # Some clients send the answers without the state that went with the questions.
        future = self._gateway.table.shown(caller, tool.name, arguments) if responses else None
        if future is not None:
            _, shown = shown_requests(self._gateway.questions.open(future))
            self._gateway.provide(shown, responses)
        return future

    async def _find(self, name: str) -> CatalogTool:
        catalog = self._gateway.pool.catalog
        tool = await catalog.find_listed(name)
        if tool is None:
            raise UnknownTool(name, catalog.likely(name), catalog.absence(name))
        return tool

    def _split(self, tool: CatalogTool, arguments: dict[str, Any] | None) -> tuple[dict[str, Any] | None, Wishes]:
        if arguments is None:
            return None, Wishes()
        own = self._own_arguments_of(tool)
        if own.isdisjoint(arguments):
            return arguments, Wishes()
        split = split_arguments(arguments, own)
        return split.rest, Wishes(split.wait_s, split.token)

    def _own_arguments_of(self, tool: CatalogTool) -> frozenset[str]:
        version = self._gateway.pool.catalog.version
        if version != self._listed:
            self._listed = version
            self._own_arguments.clear()
        if tool.name not in self._own_arguments:
            self._own_arguments[tool.name] = own_arguments(
                {**tool.tool, "inputSchema": tool.input_schema},
                mode=tool.policy.mode,
                wait_argument=self._settings.wait_argument,
                name_argument=self._settings.name_argument,
            )
        return self._own_arguments[tool.name]

    # Results

    def _pending(self, future: Future) -> dict[str, Any]:
        text = wording.pending(future, self._gateway.why_it_waits(future, future.caller, is_its_own_request=True))
        meta = future_meta(future)
        result: dict[str, Any] = {"content": [text_block(text)], "_meta": meta}
        if future.policy.structured:
            # clients refuse a result without it when the tool declares an outputSchema, and some show nothing else
            result["structuredContent"] = {**meta[FUTURE_META_KEY], "note": text}
        return result

    def _with_attachments(
        self, caller: Caller, result: dict[str, Any], leave_out: tuple[Future, ...]
    ) -> dict[str, Any]:
        room = caller.output_characters - sum(len(str(block.get("text", ""))) for block in result["content"])
        named = {need for future in leave_out for need in future.call.needs}
        delivered = self._gateway.delivery.attachments(caller, room, leave_out, named)
        if delivered is None:
            return result
        content: list[Block] = [*result["content"], *delivered.blocks]
        states = [{"token": one.token, "state": str(one.record.state)} for one in delivered.futures]
        return {**result, "content": content, "_meta": {**(result.get("_meta") or {}), DELIVERED_META_KEY: states}}


def _key(context: Context, caller: Caller, tool: CatalogTool, arguments: dict[str, Any] | None) -> CallKey | None:
    """What the client calls this call, so that it can send it again.

    Raises:
        BadKey, GuessableKey: it cannot be taken.
    """
    meta = context.meta or {}
    return CallKey.of(meta[KEY_META_KEY], caller, tool.name, arguments) if KEY_META_KEY in meta else None


def _input_required(questions: tuple[Question, ...], future: Future | None) -> dict[str, Any]:
    """The questions as the result of a request; whoever answers them sends the state back, sealed by the SDK."""
    requests, shown = shown_requests(questions)
    state = {"future": future.call.future if future is not None else None, "shown": shown}
    return {"resultType": "input_required", "inputRequests": requests, "requestState": json.dumps(state)}


def _shown(state: str | None) -> dict[str, Any]:
    """What was written with a question; only that can come back, since it was sealed. Nothing of a fresh call."""
    return json.loads(state) if state is not None else {}


def _responses(context: Context) -> dict[str, Any]:
    """The client's answers as they came: reading them into types would lose what those do not know."""
    responses = (context.params or {}).get("inputResponses")
    return cast("dict[str, Any]", responses) if isinstance(responses, dict) else {}
