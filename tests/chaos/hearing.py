"""What a client of the chaos suite makes of an answer: whatever it says is held against what was told before."""

from __future__ import annotations

import re
from collections.abc import Callable

from tests.chaos import reading
from tests.chaos.history import Call, History
from tests.chaos.reading import Seen
from tests.chaos.wire import Exchange

_TOKEN = re.compile(r"fut_[0-9a-z_]+")


class Ear:
    """Of one client.

    Args:
        label: of the gateway that it talks to now.
    """

    def __init__(self, history: History, agent: str, principal: str, label: Callable[[], str]) -> None:
        self._history = history
        self._agent = agent
        self._principal = principal
        self._label = label

    def answered(self, call: Call, exchange: Exchange) -> None:
        """The answer to a call."""
        if call.times_sent == 1:
            call.sent_at = exchange.sent_at
        if call.answered_at is None or exchange.answered_at < call.answered_at:
            call.answered_at = exchange.answered_at
        seen = reading.seen_in(exchange.answer, call)
        self.note_attached(seen)
        self._history.note("answered", call, kind=seen.kind, token=seen.token, text=seen.text[:300])
        if seen.token:
            self._history.told_token(call, seen.token)
        if seen.kind in {"refused", "elsewhere", "unknown"} and not call.tokens:
            call.times_sent, call.answered_at = 0, None  # sent once more, it arrives only then
        match seen.kind:
            case "settled":
                assert seen.settled is not None
                self._history.told_end(call, seen.settled, "inline")
            case "unknown":
                self._judge_unknown(call, seen.text)
            case "refused" | "elsewhere":
                call.refusal = seen.text
                self._history.counts[f"refused: {general(seen.text)}"] += 1
            case "strange":
                self._history.violate("answers are understood", seen.text[:500], call)
            case _:
                pass

    def told(self, token: str, seen: Seen, where: str) -> None:
        """What was read of a future."""
        call = self._history.by_token[self._principal, token]
        self.note_attached(seen)
        if seen.kind == "settled":
            assert seen.settled is not None
            self._history.told_end(call, seen.settled, where)
        elif seen.kind == "unknown":
            self._history.unknown(call, f"{where}: {seen.text}")
        elif seen.kind == "pending":
            if call.settled is not None and not seen.is_part:
                self._history.violate("a settled future stays as it is", f"{where}: {seen.text[:300]}", call)
        elif seen.kind == "refused" and self.is_about_another(call):
            self._history.counts[f"elsewhere: {general(seen.text)}"] += 1
        elif seen.kind != "elsewhere":
            self._history.violate("answers are understood", f"{where}: {seen.kind}: {seen.text[:500]}", call)

    def is_about_another(self, call: Call) -> bool:
        """Whether another gateway may be at work on it."""
        return call.settled is None and not call.scope.startswith(self._label())

    def _judge_unknown(self, call: Call, said: str) -> None:
        """A reference was refused: right only where its token never was told."""
        call.refusal = said
        named = _TOKEN.search(said)
        bearer = self._history.by_token.get((self._principal, named[0])) if named else None
        if bearer is not None:
            self._history.unknown(bearer, said)
        else:
            self._history.violate("answers are understood", said[:500], call)

    def note_attached(self, seen: Seen) -> None:
        """What came with an answer to something else."""
        for token, settled in seen.attached:
            call = self._history.by_token.get((self._principal, token))
            if call is None:  # the answer that gave its token was lost
                continue
            self._history.counts["attached"] += 1
            self._history.note("attached", call, to=self._agent)
            if call.agent != self._agent:
                self._history.violate("results are attached in their own scope", f"to an answer of {self._agent}", call)
            if settled is not None:
                self._history.told_end(call, settled, "attached")


def general(text: str) -> str:
    """A message without what differs from call to call."""
    return re.sub(r"\d+(\.\d+)?", "0", _TOKEN.sub("fut_x", text))[:140]
