"""What the programs of a chaos run ask for: calls made up by chance, which refer to earlier ones."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Mapping
from typing import Any

from tests.chaos.history import Call, History, Part, foretold
from tests.chaos.reading import Json
from tests.chaos.world import World

_COUNTERS = {"box": 60, "plain": 12, "far": 18}
_REAL = {"fs": 10, "time": 5, "memory": 8, "repo": 3, "every": 10}
"""How often a server is asked, where it is."""
_TOOLS = {
    "fs": "write_file",
    "time": "get_current_time",
    "memory": "create_entities",
    "repo": "git_status",
    "every": "echo",
}


class Author:
    """Makes up the calls of one client."""

    def __init__(self, world: World, agent: str, principal: str, servers: Mapping[str, Any], chance: random.Random):
        self.calls: list[Call] = []
        """All that it has made up."""
        self._world = world
        self._history: History = world.history
        self._agent = agent
        self._principal = principal
        self._chance = chance
        self._numbers = itertools.count(1)
        self._weights = _COUNTERS | {name: weight for name, weight in _REAL.items() if name in servers}

    def new_call(self, scope: str) -> tuple[Call, Json, Json]:
        """A call, its arguments and its `_meta`."""
        number = f"{self._agent}-{next(self._numbers)}"
        chance = self._chance
        server = chance.choices(list(self._weights), list(self._weights.values()))[0]
        tool = chance.choices(("write", "repeatable", "read", "record"), (60, 12, 20, 8))[0]
        key = str(self._world.files / f"{number}.txt") if server == "fs" else chance.choice("abc")
        call = Call(number, self._agent, self._principal, scope, server, _TOOLS.get(server, tool), key)
        call.fails = server in _COUNTERS and chance.random() < 0.06
        call.size = chance.choice((0, 0, 20, 300, 2_500, 12_000))
        value, call.value = self._new_value()
        delay_s = chance.choices((0, 0.02, 0.15, 0.6, 1.5, 8), (40, 20, 20, 12, 7, 1))[0]
        arguments = self._arguments(call, value, delay_s)
        meta: Json = {}
        # a key goes with its future
        if chance.random() < 0.3 and not self._history.lets_go_early:
            call.repeat_key = meta["asyncfc/idempotencyKey"] = f"key of {number}"
        if chance.random() < 0.12:
            arguments["_as"] = "n" + re.sub(r"[^a-z0-9]", "_", number)
        if chance.random() < 0.4:
            arguments["_wait_s"] = chance.choice((0, 0, 0, 1, 3))
        call.arguments = arguments
        call.foretold = foretold(call, self._history.calls)
        self._history.add(call)
        self.calls.append(call)
        return call, arguments, meta

    def _arguments(self, call: Call, value: str, delay_s: float) -> Json:
        match call.server:
            case "fs":
                return {"path": call.key, "content": value}
            case "memory":
                return {"entities": [{"name": call.id, "entityType": "call", "observations": [value]}]}
            case "every":
                return {"message": value}
            case "time":
                call.value = ()
                return {"timezone": "Europe/Berlin"}
            case "repo":
                call.value = ()
                return {"repo_path": str(self._world.repository)}
            case _:
                known = {"call": call.id, "key": call.key, "value": value, "size": call.size, "fails": call.fails}
                return {**known, "delay_s": delay_s}

    def _new_value(self) -> tuple[str, tuple[str | Part, ...]]:
        """An argument as it is sent, and what its server must be given for it."""
        chance = self._chance
        told = self.some_token() if chance.random() < 0.45 else None
        if told is None:
            text = f"plain {chance.getrandbits(30)}"
            return text, (text,)
        token, call = told
        if call.tool == "record" and chance.random() < 0.5:
            return f"{token}/items/0/id", (Part(call.id, "/items/0/id"),)
        if chance.random() < 0.25:
            return f"before ${{{token}}} after", ("before ", Part(call.id), " after")
        return token, (Part(call.id),)

    def some_token(self, *, everybodys: float = 0.1) -> tuple[str, Call] | None:
        """A token that this principal was told: mostly a recent one of its own."""
        chance = self._chance
        if chance.random() < everybodys:
            told = [item for (principal, _), item in self._history.by_token.items() if principal == self._principal]
        else:
            told = [call for call in self.calls[-60:] if call.tokens]
        usable = [call for call in told if call.server not in {"time", "repo"} and not call.is_gone]
        if not usable:
            return None
        call = chance.choice(usable)
        return chance.choice(sorted(call.tokens)), call
