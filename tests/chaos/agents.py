"""Clients that run random programs: they call, await, read, cancel and repeat, and understand what they are told."""

from __future__ import annotations

import json
import time

import anyio

from tests.bounds import bound_s
from tests.chaos import reading
from tests.chaos.gateways import TOKEN, Gateway
from tests.chaos.hearing import Ear, general
from tests.chaos.history import Call, History, Settled
from tests.chaos.plan import generator
from tests.chaos.programs import Author
from tests.chaos.reading import Json, Seen
from tests.chaos.wire import Exchange, Lost, Overdue, Web
from tests.chaos.world import World

_MOST_REPEATS = 8


class Agent:
    """One conversation: a scope of a window, or a client over the network."""

    def __init__(self, world: World, name: str, gateway: Gateway, *, scope: str | None, web: Web | None = None) -> None:
        self.name = name
        self.gateway = gateway
        self.principal = "stdio" if web is None else "bearer"
        self._history: History = world.history
        self._scope = scope
        self._web = web
        self._random = generator(world.plan, name)
        self._ear = Ear(world.history, name, self.principal, lambda: gateway.label)
        self._author = Author(world, name, self.principal, world.servers_of(gateway.name), self._random)

    # The way to the gateway

    @property
    def scope(self) -> str:
        """What its order is kept in now."""
        if self._web is not None:
            return f"{self._web.scope}/{self._scope}"
        return f"{self.gateway.label}/{self._scope}"

    async def request(self, method: str, params: Json) -> Exchange:
        """Ask and wait; see `Wire.request`."""
        await self.gateway.up.wait()
        wire = self._web if self._web is not None else self.gateway.pipes
        assert wire is not None
        meta = {**params.get("_meta", {}), **({"asyncfc/scope": self._scope} if self._scope else {})}
        exchange = await wire.request(method, {**params, **({"_meta": meta} if meta else {})})
        if reading.is_end_of_connection(exchange.answer):
            raise Lost
        took_s = (exchange.answered_at - exchange.sent_at) / 1e9
        self._history.slowest_s = max(self._history.slowest_s, took_s)
        self._history.counts["answers"] += 1
        return exchange

    async def _own_tool(self, tool: str, arguments: Json) -> Json | None:
        """The answer of one of the gateway's own tools; None where it was lost."""
        self._history.note("asks", agent=self.name, tool=tool, arguments=arguments)
        try:
            return (await self.request("tools/call", {"name": tool, "arguments": arguments})).answer
        except Lost:
            self._history.counts["answers lost"] += 1
        except Overdue:
            self._history.violate("every request is answered in time", f"{self.name}: {tool} {arguments}")
        return None

    async def close(self) -> None:
        if self._web is not None:
            await self._web.close()

    # Programs

    async def run(self) -> None:
        """Act until cancelled."""
        actions = [
            (self._burst, 52), (self._await, 14), (self._look, 14), (self._cancel, 5), (self._list, 2),
            (self._read_resource, 4), (self._get_prompt, 3), (self._repeat, 4),
        ]  # fmt: skip
        weights = [weight for _, weight in actions]
        while True:
            action = self._random.choices([one for one, _ in actions], weights)[0]
            await action()
            await anyio.sleep(self._random.choice((0, 0, 0.01, 0.05, 0.2, 0.4)))

    async def _burst(self) -> None:
        calls = [self._author.new_call(self.scope) for _ in range(self._random.choice((1, 1, 2, 3, 5)))]
        async with anyio.create_task_group() as tasks:
            for call, arguments, meta in calls:
                tasks.start_soon(self._submit, call, arguments, meta)
                if call.repeat_key is not None and self._random.random() < 0.2:
                    tasks.start_soon(self._submit, call, arguments, meta)

    async def _submit(self, call: Call, arguments: Json, meta: Json) -> None:
        """Send a call; one with a key is sent again when its answer is lost."""
        params: Json = {"name": f"{call.server}_{call.tool}", "arguments": arguments}
        if meta:
            params["_meta"] = meta
        for _ in range(_MOST_REPEATS):
            call.times_sent += 1
            self._history.note("sends", call, arguments=json.dumps(arguments)[:300], scope=self.scope, meta=meta)
            await self.gateway.up.wait()
            if call.times_sent == 1:
                # of a call whose answer is lost the gateway may have known since now
                call.scope, call.sent_at = self.scope, time.monotonic_ns()
            else:
                call.repeated_at = time.monotonic_ns()
            try:
                exchange = await self.request("tools/call", params)
            except Lost:
                self._history.counts["answers lost"] += 1
                self._history.note("lost", call)
                if call.repeat_key is None:
                    return
                await anyio.sleep(0.1)
                continue
            except Overdue:
                self._history.violate("every request is answered in time", f"{params['name']}", call)
                return
            self._ear.answered(call, exchange)
            return

    # Looking at futures

    async def _await(self) -> None:
        some = {
            told[0]: told[1] for _ in range(self._random.choice((1, 1, 2, 3))) if (told := self._author.some_token())
        }
        if not some:
            return
        mode = self._random.choice(("all", "any"))
        arguments = {"futures": list(some), "mode": mode, "timeout_s": self._random.choice((0, 0.5, 2, 6))}
        answer = await self._own_tool("await_future", arguments)
        if answer is None:
            return
        if len(some) == 1:
            (call,) = some.values()
            self._ear.told(next(iter(some)), reading.seen_in(answer, call), "await_future")
            return
        for token, seen in reading.seen_in_awaited(answer, some).items():
            self._ear.told(token, seen, "await_future of several")

    async def _look(self) -> None:
        told = self._author.some_token(everybodys=0.4)
        if told is not None:
            await self.look(*told)

    async def look(self, token: str, call: Call) -> Seen | None:
        """Read a future; None where the answer was lost."""
        answer = await self._own_tool("get_future", {"future": token})
        if answer is None:
            return None
        seen = reading.seen_by_get(answer, call)
        self._ear.told(token, seen, "get_future")
        if seen.kind == "pending" and seen.is_part:
            answer = await self._own_tool("await_future", {"futures": [token], "timeout_s": 2})
            if answer is None:
                return None
            seen = reading.seen_in(answer, call)
            self._ear.told(token, seen, "await_future")
        return seen

    async def _read_resource(self) -> None:
        told = self._author.some_token()
        if told is None:
            return
        token, call = told
        self._history.note("asks", agent=self.name, tool="resources/read", arguments=token)
        try:
            answer = (await self.request("resources/read", {"uri": f"future://{token}"})).answer
        except Lost:
            return
        except Overdue:
            self._history.violate("every request is answered in time", f"{self.name}: resources/read {token}")
            return
        if "error" in answer:
            said = str(answer["error"].get("message"))
            if reading.is_gone(said):
                self._history.unknown(call, f"future://: {said}")
            elif not reading.is_unkept(said) and not self._ear.is_about_another(call):
                self._history.violate("answers are understood", f"future://: {said}", call)
            return
        described = json.loads(answer["result"]["contents"][0]["text"])
        call = self._history.by_token[self.principal, token]
        settled = reading.settled_in_json(described, call)
        if settled is not None and call.server in {"box", "plain", "far"}:
            self._history.told_end(call, settled, "future://")
        elif settled is not None:  # what it holds of another server has a form of its own
            pass
        elif call.settled is not None:
            self._history.violate("a settled future stays as it is", f"future://: {described}", call)

    async def _get_prompt(self) -> None:
        told = self._author.some_token()
        if told is None:
            return
        token, call = told
        params = {"name": "box_say", "arguments": {"text": token}}
        self._history.note("asks", agent=self.name, tool="prompts/get", arguments=token)
        try:
            answer = (await self.request("prompts/get", params)).answer
        except Lost:
            return
        except Overdue:
            self._history.violate("every request is answered in time", f"{self.name}: prompts/get {token}")
            return
        if "error" in answer:
            said = str(answer["error"].get("message"))
            if reading.is_gone(said):
                self._history.unknown(call, f"prompts/get: {said}")
            self._history.counts[f"prompt refused: {general(said)}"] += 1
            return
        text = answer["result"]["messages"][0]["content"]["text"]
        call = self._history.by_token[self.principal, token]
        self._history.told_end(call, Settled("resolved", text=text), "prompts/get")

    async def _cancel(self) -> None:
        unsettled = [call for call in self._author.calls[-20:] if call.tokens and call.settled is None]
        if not unsettled:
            return
        call = self._random.choice(unsettled)
        token = min(call.tokens)
        answer = await self._own_tool("cancel_future", {"futures": [token], "reason": "not needed"})
        if answer is None:
            return
        if reading.cancelled_at_once(answer, token):
            call.was_stopped_unstarted = True
        self._history.note("cancels", call, answer=json.dumps(answer)[:300])
        seen = reading.seen_in(answer, call)
        self._ear.note_attached(seen)
        if seen.kind == "unknown":
            self._history.unknown(call, f"cancel_future: {seen.text}")

    async def _list(self) -> None:
        answer = await self._own_tool("list_futures", {})
        if answer is not None and "error" in answer:
            self._history.violate("answers are understood", f"list_futures: {answer['error']}")

    async def _repeat(self) -> None:
        """Send an old call again under its key, as a client does that has lost count of what was answered."""
        keyed = [
            call for call in self._author.calls[-80:] if call.repeat_key is not None and call.answered_at is not None
        ]
        if not keyed:
            return
        call = self._random.choice(keyed)
        self._history.note("repeats", call)
        await self._submit(call, call.arguments, {"asyncfc/idempotencyKey": call.repeat_key})

    async def settle(self, call: Call, within_s: float) -> None:
        """Wait until the end of a call whose token was told can be read."""
        token = min(call.tokens)
        with anyio.move_on_after(bound_s(within_s)):
            while True:
                seen = await self.look(token, call)
                if seen is not None and seen.kind in {"settled", "unknown"}:
                    return
                await anyio.sleep(0.3)
        self._history.violate("every future settles", f"{token} has not within {within_s} s", call)


def agents_of(world: World) -> list[Agent]:
    """Everybody who acts in this world."""
    url = f"http://127.0.0.1:{world.door.port}/mcp"
    found = [
        Agent(world, f"{gateway.name}-{scope or 'main'}", gateway, scope=scope)
        for gateway in (world.window, world.other_window)
        for scope in (None, "chat")
    ]
    for name, is_modern in (("web-1", True), ("web-2", True), ("session", False)):
        web = Web(name, url, TOKEN, is_modern=is_modern)
        found.append(Agent(world, name, world.network, scope=name if is_modern else None, web=web))
    return found
