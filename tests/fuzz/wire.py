"""Messages as no client and no server would write them, and a gateway that has to live through all of them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from typing import Any, cast

import anyio
from hypothesis import strategies as st

from tests.bad_input.wires import LEGACY, MODERN, PREFIX
from tests.bounds import bound_s
from tests.fuzz.hostile import JSON, KEYS, TEXTS, TOKENS, among, json_of
from tests.process.support import LIMIT_S, Json, RawGateway, text_of

WRITABLE = json_of(st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(-1e9, 1e9) | TEXTS)

METHODS = (
    *("tools/call", "tools/list", "prompts/list", "prompts/get", "resources/list", "resources/read", "ping"),
    *("resources/templates/list", "resources/subscribe", "resources/unsubscribe", "completion/complete"),
    *("logging/setLevel", "server/discover", "tasks/get", "tasks/update", "tasks/cancel", "nope", ""),
)
TOOLS = ("crooked_answer", "await_future", "get_future", "cancel_future", "list_futures", "nope")
META = st.dictionaries(
    among(
        [
            *("progressToken", "asyncfc/scope", "asyncfc/idempotencyKey", f"{PREFIX}protocolVersion"),
            *(f"{PREFIX}clientCapabilities", f"{PREFIX}clientInfo", f"{PREFIX}logLevel", "traceparent"),
        ]
    )
    | KEYS,
    among([MODERN, LEGACY, {}, {"elicitation": {}}, {"name": "x", "version": "1"}, "k", 1, None]) | WRITABLE,
    max_size=3,
)
_CALLED: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    among(["text", "values", "options", "message", "futures", "future", "_wait_s", "_as", "timeout_s", "mode"]) | KEYS,
    among([0, 0.1, "0", "x", "fut_x", "${fut_x}", [], ["fut_x"]]) | TOKENS | WRITABLE,
    max_size=4,
)
_CALLS = st.fixed_dictionaries(
    {"name": among(TOOLS)},
    optional={"arguments": _CALLED, "_meta": META, "task": WRITABLE, "requestState": TEXTS, "inputResponses": WRITABLE},
)
_OTHER_PARAMS = st.dictionaries(
    among(["name", "arguments", "uri", "ref", "argument", "cursor", "level", "taskId", "_meta", "requestId"]),
    META | WRITABLE | among(["debug", "book://1", {"type": "ref/prompt", "name": "x"}, "fut_x"]),
    max_size=4,
)
_OLDER = ("initialize", "subscriptions/listen")
"""What would begin something new on the connection, or never be answered: tried where it has a meaning."""


def _is_tried(method: str) -> bool:
    return method not in _OLDER


_TOOL_CALLS: st.SearchStrategy[Json] = st.fixed_dictionaries({"method": st.just("tools/call"), "params": _CALLS})
_OTHER_REQUESTS: st.SearchStrategy[Json] = st.fixed_dictionaries(
    {"method": among(METHODS) | TEXTS.filter(_is_tried)}, optional={"params": _OTHER_PARAMS | WRITABLE}
)
REQUESTS = _TOOL_CALLS | _OTHER_REQUESTS
NOTIFICATIONS: st.SearchStrategy[Json] = st.fixed_dictionaries(
    {
        "method": among(
            [
                *("notifications/cancelled", "notifications/progress", "notifications/roots/list_changed"),
                *("notifications/initialized", "notifications/message", "notifications/tools/list_changed", "nope"),
            ]
        )
    },
    optional={"params": _OTHER_PARAMS | WRITABLE},
)
ANSWERS: st.SearchStrategy[Json] = st.fixed_dictionaries(
    {"id": st.integers(0, 5) | TEXTS | among([None, True, 1.5, [], {}])},
    optional={"result": JSON, "error": JSON | st.just({"code": 1, "message": "no"})},
)


class Conversation:
    """Sends what it is given and counts what comes back."""

    def __init__(self, gateway: RawGateway, *, is_modern: bool) -> None:
        self._gateway = gateway
        self._is_modern = is_modern
        self._ids = itertools.count(1)
        self._answers: dict[str, list[Json]] = {}

    async def begin(self) -> None:
        """Do the handshake, in the era that has one."""
        if not self._is_modern:
            await self._gateway.initialize()

    async def say(self, message: Json) -> None:
        """Send what is to have no answer."""
        await self._gateway.send({"jsonrpc": "2.0", **message})

    async def say_line(self, line: bytes) -> None:
        """Send what may be no message."""
        await self._gateway.send_line(line)

    async def ask(self, request: Json) -> str:
        """Send a request under an id of its own, said as its era wants it as far as it says nothing else."""
        identity = f"fuzz-{next(self._ids)}"
        await self.say({**(self._as_modern(request) if self._is_modern else request), "id": identity})
        return identity

    async def call(self, tool: str, **arguments: Any) -> str:
        """Ask for a call of a tool."""
        return await self.ask({"method": "tools/call", "params": {"name": tool, "arguments": arguments}})

    async def settle(self, expected: Iterable[str]) -> list[Json]:
        """The answers to these requests: one to each, also when that to a last one has come."""
        expected = list(expected)
        await self._hear({*expected})
        await self._hear({await self.ask({"method": "tools/list"})})
        for identity, answers in self._answers.items():
            assert len(answers) == 1, f"{identity} was answered {len(answers)} times"
            assert ("result" in answers[0]) is not ("error" in answers[0]), answers[0]
        answered = [self._answers[identity][0] for identity in expected]
        self._answers.clear()
        return answered

    async def awaited(self, token: str) -> str:
        """The text of the future when it is settled, which may take more than one await."""
        with anyio.fail_after(bound_s(LIMIT_S)):
            while True:
                (awaited,) = await self.settle([await self.call("await_future", futures=[token])])
                if not text_of(awaited).startswith("Still unsettled"):
                    return text_of(awaited)

    async def assert_unharmed(self) -> None:
        """An ordinary call works, and every future settles."""
        await self.settle([await self.call("echo", text="still here", _as="unharmed")])
        assert (await self.awaited("fut_unharmed")).startswith("still here")
        with anyio.fail_after(LIMIT_S):
            while True:
                (awaited,) = await self.settle([await self.call("await_future")])
                if text_of(awaited).startswith("Nothing is unsettled."):
                    return

    async def _hear(self, missing: set[str]) -> None:
        with anyio.fail_after(LIMIT_S):
            while missing:
                message = json.loads(await self._gateway.line())
                assert isinstance(message, dict)
                said = cast("Json", message)
                assert said.get("jsonrpc") == "2.0"
                identity = said.get("id")
                if "method" not in said and isinstance(identity, str) and identity.startswith("fuzz-"):
                    missing.discard(identity)
                    self._answers.setdefault(identity, []).append(said)

    def _as_modern(self, request: Json) -> Json:
        params = request.get("params", {})
        if not isinstance(params, dict):
            return request
        said = cast("Json", params)
        envelope = {
            f"{PREFIX}protocolVersion": MODERN,
            f"{PREFIX}clientCapabilities": {},
            f"{PREFIX}clientInfo": {"name": "wire", "version": "1"},
        }
        meta = said.get("_meta", {})
        return {**request, "params": {**said, "_meta": {**envelope, **meta} if isinstance(meta, dict) else meta}}
