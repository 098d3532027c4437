"""Requests that are passed on to the server they concern: `resources/read`, `prompts/get`, `completion/complete`."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

import anyio
import mcp_types as types
from mcp.server.lowlevel.server import Server
from mcp.shared.exceptions import MCPError

from asyncfc_mcp.downstream.offers import Offers
from asyncfc_mcp.downstream.outcome import DownstreamError, InputRefused, RpcError
from asyncfc_mcp.downstream.status import ConnectionState
from asyncfc_mcp.errors import GatewayError
from asyncfc_mcp.gateway.caller import Caller
from asyncfc_mcp.gateway.flows.policy import QUESTION as FLOW_QUESTION
from asyncfc_mcp.gateway.flows.policy import Target
from asyncfc_mcp.gateway.gateway import Gateway
from asyncfc_mcp.gateway.questions.form import can_be_asked, read_question
from asyncfc_mcp.gateway.requester import Requester
from asyncfc_mcp.gateway.table import UnknownToken
from asyncfc_mcp.gateway.words.imitations import disarmed
from asyncfc_mcp.gateway.words.shaping import without_own_meta
from asyncfc_mcp.server.doorway import Context, Doorway, is_modern
from asyncfc_mcp.server.future_resources import TEMPLATE, complete_token, is_future_uri, read_future
from asyncfc_mcp.server.referring import NOTHING_RESOLVED, resolve_texts
from asyncfc_mcp.server.requester import ContextRequester
from asyncfc_mcp.server.sessions import Sessions
from asyncfc_mcp.server.wire import COMPLETE, RESOURCE_NOT_FOUND, as_mcp_error, passed_on_meta, resource_not_found

MOST_ROUNDS = 16
"""How often a server may ask for input in the course of one request."""
_NOT_FOUND = (RESOURCE_NOT_FOUND, types.INVALID_PARAMS)
_UNCACHED = {"ttlMs": 0, "cacheScope": "private"}
"""What is said of a resource whose server says nothing."""
_DOWN = frozenset({ConnectionState.WAITING, ConnectionState.FAILED, ConnectionState.CLOSED})
"""Not worth the wait for what they may not even have."""

Answer = dict[str, Any]


class NotAnswered(DownstreamError):
    """A server takes longer than it may."""

    def __init__(self, server: str, method: str, limit_s: float) -> None:
        super().__init__(
            f"server {server!r} has not answered {method} within {limit_s:g} s, the timeout_s of that server; ask again"
        )
        self.server = server
        self.method = method


class Passing:
    """Finds the server of each request and passes it on, raw both ways.

    Args:
        gateway: has the servers and the futures.
        offers: says which server has what.
        sessions: the legacy sessions.
        doorway: who is behind a request.
        embed: whether `${fut_x}` inside a longer text is replaced.
        input_timeout_s: how long a client may take to answer what a server asks.
    """

    def __init__(
        self,
        gateway: Gateway,
        offers: Offers,
        sessions: Sessions,
        doorway: Doorway,
        *,
        embed: bool,
        input_timeout_s: float,
    ) -> None:
        self._gateway = gateway
        self._offers = offers
        self._sessions = sessions
        self._doorway = doorway
        self._embed = embed
        self._input_timeout_s = input_timeout_s

    def register(self, server: Server[Any]) -> None:
        """Handle the requests that are passed on."""
        server.add_request_handler("resources/read", types.ReadResourceRequestParams, self._handling(self._read))
        server.add_request_handler("prompts/get", types.GetPromptRequestParams, self._handling(self._get_prompt))
        server.add_request_handler("completion/complete", types.CompleteRequestParams, self._handling(self._complete))

    def _handling(
        self, handle: Callable[[_Request, Any], Awaitable[Answer]]
    ) -> Callable[[Context, Any], Awaitable[Answer]]:
        async def handler(context: Context, params: Any) -> Answer:
            caller = self._doorway.caller(context)
            self._gateway.delivery.arrive(caller)
            request = _Request(self._gateway, context, caller, self._sessions, self._input_timeout_s)
            try:
                return {**COMPLETE, **await handle(request, params)}
            except GatewayError as error:
                raise as_mcp_error(error) from None

        return handler

    # Resources

    async def _read(self, request: _Request, params: types.ReadResourceRequestParams) -> Answer:
        uri = params.uri
        if not is_future_uri(uri):
            uri = (await self._resolve(request, {"uri": uri}))["uri"]
        if is_future_uri(uri):
            return await self._read_future(request, uri)
        result = await self._read_somewhere(request, uri)
        return result if result.get("resultType") == "input_required" else {**_UNCACHED, **result}

    async def _read_future(self, request: _Request, uri: str) -> Answer:
        try:
            return await read_future(self._gateway, request.caller, uri)
        except UnknownToken as unknown:
            raise resource_not_found(request.context, uri, f" ({unknown})") from None

    async def _read_somewhere(self, request: _Request, uri: str) -> Answer:
        """Ask those who say they have it, then all others, until one has it."""
        await self._offers.complete()
        claimants, others = self._offers.candidates(uri)
        first: RpcError | None = None
        unasked: list[str] = []
        for server in [*claimants, *others]:
            is_down = self._gateway.pool.connection(server).status.state in _DOWN
            if server in others and (is_down or not request.may_go_unasked_to(server)):
                unasked.append(server)
                continue
            try:
                return await request.pass_to(server, uri=uri)
            except RpcError as error:
                if error.code not in _NOT_FOUND:
                    raise
                first = first or error
            except DownstreamError:
                if server in claimants:
                    raise
                unasked.append(server)
        is_plain = first is not None and (len(claimants) == 1 or len(claimants) + len(others) == 1)
        if first is not None and is_plain:
            raise _in_the_clients_words(request.context, first, uri)
        more = f" (not asked, since not available: {', '.join(unasked)})" if unasked else ""
        raise resource_not_found(request.context, uri, more)

    # Prompts and completions

    async def _get_prompt(self, request: _Request, params: types.GetPromptRequestParams) -> Answer:
        prompt = (await self._offers.complete()).prompt_of_name.get(params.name)
        if prompt is None:
            raise MCPError(types.INVALID_PARAMS, f"Unknown prompt: {params.name}")
        changes: dict[str, Any] = {"name": prompt.own_name}
        if params.arguments:
            changes["arguments"] = await self._resolve(request, params.arguments)
        return await request.pass_to(prompt.server, **changes)

    async def _complete(self, request: _Request, params: types.CompleteRequestParams) -> Answer:
        merged = await self._offers.complete()
        ref = params.ref
        raw_ref = cast("dict[str, Any]", request.params.get("ref") or {})
        if isinstance(ref, types.PromptReference):
            prompt = merged.prompt_of_name.get(ref.name)
            if prompt is None:
                raise MCPError(types.INVALID_PARAMS, f"Unknown prompt: {ref.name}")
            return await request.pass_to(prompt.server, ref={**raw_ref, "name": prompt.own_name})
        if ref.uri == TEMPLATE["uriTemplate"]:
            return complete_token(self._gateway, request.caller, params.argument.value)
        server = merged.server_of_template.get(ref.uri) or merged.server_of_uri.get(ref.uri)
        if server is None:
            raise MCPError(types.INVALID_PARAMS, f"Unknown resource template: {ref.uri}")
        return await request.pass_to(server)

    async def _resolve(self, request: _Request, texts: dict[str, str]) -> dict[str, str]:
        request.values = await resolve_texts(self._gateway, request.caller, texts, request.requester, embed=self._embed)
        return request.values.texts


class _Request:
    """One request of a client on its way to a server."""

    def __init__(
        self, gateway: Gateway, context: Context, caller: Caller, sessions: Sessions, input_timeout_s: float
    ) -> None:
        self.context = context
        self.caller = caller
        self.requester: Requester = ContextRequester(context, sessions.seen(context, caller), caller)
        self.params: dict[str, Any] = dict(context.params or {})
        self.values = NOTHING_RESOLVED
        """What its references stood for."""
        self._flows = gateway.flows
        self._flow_answer = _taken_out(self.params, FLOW_QUESTION)
        self._pool = gateway.pool
        self._input_timeout_s = input_timeout_s
        self._claims = sessions.wanting_logs(caller).claims

    async def pass_to(self, server: str, **changes: Any) -> Answer:
        """The raw result of that server; `changes` replace parameters of the client.

        Raises:
            FlowDenied: the values in it may not go there.
        """
        question = await self._let_values_cross(server)
        if question is not None:
            return question
        params = {**self.params, **changes}
        params.pop("_meta", None)
        if meta := passed_on_meta(self.context):
            params["_meta"] = meta
        for _ in range(MOST_ROUNDS):
            result = await self._send(server, params)
            if result.get("resultType") != "input_required" or is_modern(self.context):
                return without_own_meta(result)
            params = {**params, **await self._answers(result)}
        raise InputRefused(f"server {server!r} asked for input more than {MOST_ROUNDS} times in one request")

    def may_go_unasked_to(self, server: str) -> bool:
        """Whether its values may go to a server without a word from the user."""
        origins = {origin for source in self.values.needs.values() for origin in source.origins}
        return all(self._flows.decision(origin, server) == "allow" for origin in origins)

    async def _let_values_cross(self, server: str) -> Answer | None:
        """See that the values in it may go to a server; the result that puts the question to a client, if it takes one.

        Raises:
            FlowDenied: they may not.
        """
        method = self.context.method
        named = self.params.get("name")
        target = Target(server, "prompt", str(named)) if method == "prompts/get" else Target(server, "method", method)
        passage = self._flows.check(self.caller, self.values.references, self.values.needs, target)
        if passage is None:
            return None
        if passage.asked and self.requester.shows_questions and can_be_asked(self.caller.claims, passage.question):
            if self._flow_answer is None:
                return {"resultType": "input_required", "inputRequests": {FLOW_QUESTION: passage.question}}
            self._flows.take(passage, self._flow_answer, by_value=True)

        async def ask(request: Mapping[str, Any]) -> Mapping[str, Any]:
            return await self.requester.ask(request["method"], request["params"], self._input_timeout_s)

        await self._flows.permit(passage, ask)
        return None

    async def _send(self, server: str, params: dict[str, Any]) -> Answer:
        connection = self._pool.connection(server, self._claims)
        limit_s = connection.entry.settings.timeout_s or math.inf
        with anyio.move_on_after(limit_s):
            return await connection.request(
                self.context.method,
                params,
                claims=self._claims,
                owner=self.requester,
                on_progress=self._progress,
            )
        raise NotAnswered(server, self.context.method, limit_s)

    async def _progress(self, progress: float, total: float | None, message: str | None) -> None:
        await self.requester.progress(progress, total, message)

    async def _answers(self, result: Answer) -> dict[str, Any]:
        """What a legacy client answers to the questions of a modern server, as parameters of the next round."""
        ends_at = time.monotonic() + self._input_timeout_s
        responses: dict[str, Any] = {}
        requests: object = result.get("inputRequests") or {}
        if not isinstance(requests, dict):
            raise InputRefused("the server asks for input in no known form")
        for key, asked in cast("dict[str, Any]", requests).items():
            method, params = read_question(asked)
            responses[key] = await self.requester.ask(method, params, max(0.0, ends_at - time.monotonic()))
        answers: dict[str, Any] = {"inputResponses": responses}
        return answers | ({"requestState": result["requestState"]} if "requestState" in result else {})


def _taken_out(params: dict[str, Any], key: str) -> Mapping[str, Any] | None:
    """What a client answers to a question of ours, which is none of the server's business."""
    responses: object = params.get("inputResponses")
    if not isinstance(responses, dict) or key not in responses:
        return None
    others = dict(cast("dict[str, Any]", responses))
    answer: object = others.pop(key)
    params["inputResponses"] = others
    if not others:
        del params["inputResponses"]
    return cast("Mapping[str, Any]", answer) if isinstance(answer, Mapping) else {}


def _in_the_clients_words(context: Context, error: RpcError, uri: str) -> MCPError:
    """What the only server that could have the resource says of it, with the code of the client's revision."""
    code = types.INVALID_PARAMS if is_modern(context) else error.code
    return MCPError(code, disarmed(error.message), error.data if error.data is not None else {"uri": uri})
