"""What the chaos suite's clients asked for and were told; notices when they are told something else later."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from tests.chaos import payload

State = Literal["resolved", "failed", "cancelled"]

NEVER_STARTED = frozenset(
    {"poisoned", "unseen_failure", "not_started", "bad_substitution", "unavailable", "flow_denied"}
)
"""Reasons that say that a call was not sent to its server."""
FREE_THE_KEY = frozenset({"unseen_failure", "not_started", "unavailable"})
"""Reasons after which a call that is sent again under its key is a fresh call, as its client then wants."""


@dataclass(frozen=True, slots=True)
class Part:
    """The value of an earlier call, or a piece of it, inside an argument."""

    call: str
    path: str = ""


@dataclass(frozen=True, slots=True)
class Settled:
    """How a client was told that a call ended."""

    state: State
    reason: str = ""
    text: str = ""


@dataclass(slots=True)
class Call:
    """One call of a program, and all that its client knows of it."""

    id: str
    agent: str
    principal: str
    scope: str
    """Whose order it keeps; another one after a restart, where that ends the scope."""
    server: str
    tool: str
    key: str
    size: int = 0
    fails: bool = False
    value: tuple[str | Part, ...] = ()
    """What its server must be given as `value`, in pieces."""
    foretold: str = ""
    """What somebody else's server must make of it, where that can be known."""
    repeat_key: str | None = None
    """The idempotency key that went with it."""
    arguments: dict[str, Any] = field(default_factory=dict[str, Any])
    """As they were sent."""
    sent_at: int = 0
    answered_at: int | None = None
    tokens: set[str] = field(default_factory=set[str])
    settled: Settled | None = None
    refusal: str = ""
    """Why it was not taken in, where the client was told so."""
    was_stopped_unstarted: bool = False
    """Whether a cancellation was told to have stopped it before it began."""
    times_sent: int = 0
    repeated_at: int | None = None
    """When it was last sent again."""
    is_gone: bool = False
    """Whether its token is not known any more, as may be where the store has a low limit."""
    earlier: list[Call] = field(default_factory=list["Call"])
    """What became of it when it was sent before, where it never reached its server then."""
    events: list[str] = field(default_factory=list[str])

    @property
    def may_repeat(self) -> bool:
        """Whether its tool is known to be read-only or idempotent, on a server that is believed."""
        return self.server != "far" and self.tool in {"repeatable", "read"}

    @property
    def has_freed_its_key(self) -> bool:
        """Whether what comes of it when it is sent again is another future's."""
        return self.settled is not None and self.settled.reason in FREE_THE_KEY

    @property
    def whole(self) -> str | None:
        """Its value as text; None where only its server knows it before."""
        match self.server:
            case "fs" | "memory" | "every":
                return self.foretold
            case "time" | "repo":
                return self.settled.text if self.settled is not None and self.settled.state == "resolved" else None
            case _:
                return json.dumps(payload.record(self.id, self.size)) if self.tool == "record" else self.text

    @property
    def text(self) -> str:
        return payload.text(self.id, self.size)

    @property
    def needs(self) -> tuple[str, ...]:
        return tuple(part.call for part in self.value if isinstance(part, Part))

    def piece(self, path: str) -> str:
        """What a path into its value gives."""
        return f"item of {self.id}" if path else self.whole or ""


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was not kept."""

    promise: str
    fact: str
    calls: tuple[str, ...] = ()
    """Whose histories show how it came to that."""


class History:
    """Everything that was told, and what was wrong with it."""

    def __init__(self, log: Path) -> None:
        self.calls: dict[str, Call] = {}
        self.by_token: dict[tuple[str, str], Call] = {}
        self.violations: list[Violation] = []
        self.counts: Counter[str] = Counter()
        self.slowest_s = 0.0
        self.memory_mb: list[tuple[float, float]] = []
        """Of each gateway, when it was fresh and at rest after everything."""
        self.lets_go_early = False
        """Whether settled futures may go before their time, since there is a limit on the store."""
        self._log = log.open("a", buffering=1)
        self._started_at = time.monotonic()

    def close(self) -> None:
        self._log.close()

    def note(self, what: str, call: Call | None = None, **facts: Any) -> None:
        """One line of the log; also of the call's own history."""
        at = round(time.monotonic() - self._started_at, 4)
        line = {"at": at, "what": what, **({"call": call.id} if call else {}), **facts}
        self._log.write(json.dumps(line, default=str) + "\n")
        if call is not None:
            told = " ".join(f"{name}={str(value)[:160]!r}" for name, value in facts.items())
            call.events.append(f"{at:9.3f} {what} {told}")

    def violate(self, promise: str, fact: str, *calls: Call) -> None:
        self.violations.append(Violation(promise, fact, tuple(call.id for call in calls)))
        self.note("VIOLATION", calls[0] if calls else None, promise=promise, fact=fact)

    def add(self, call: Call) -> None:
        self.calls[call.id] = call
        self.counts["calls"] += 1

    def told_token(self, call: Call, token: str) -> None:
        """Its client holds this token from now on."""
        known = self.by_token.get((call.principal, token))
        if known is not None and known is not call:
            self.violate("a token stands for one call", f"{token} was given out for {known.id} before", call)
        has_one = any(_is_minted(one) for one in call.tokens)
        if token not in call.tokens and _is_minted(token) and (has_one or call.has_freed_its_key):
            self._renew(call)
            call.settled = None
        call.tokens.add(token)
        self.by_token[call.principal, token] = call

    def _renew(self, call: Call, end: Settled | None = None) -> None:
        """It has a second future, which is right where the first never began; that is seen when all are read."""
        minted = {token for token in call.tokens if _is_minted(token)}
        first = replace(call, tokens=minted, settled=end or call.settled, earlier=[], events=call.events)
        call.earlier.append(first)
        call.tokens -= minted
        call.was_stopped_unstarted = False
        for token in minted:
            self.by_token[call.principal, token] = first

    def told_end(self, call: Call, settled: Settled, where: str) -> None:
        """Its client has seen how it ended."""
        self.note("told", call, where=where, state=settled.state, reason=settled.reason, text=settled.text[:200])
        wanted = call.whole
        if wanted is not None and where == "attached":
            wanted = payload.cleaned(wanted)
        is_as_wanted = wanted is None or settled.text == wanted or self._is_same_json(call, settled.text)
        if settled.state == "resolved" and not is_as_wanted:
            self.violate("no value changes", f"{where}: {_difference(settled.text, wanted or '')}", call)
        if call.settled is None:
            call.settled = settled
        elif (call.settled.state, call.settled.reason) != (settled.state, settled.reason):
            if call.repeat_key and call.times_sent > 1:
                if call.has_freed_its_key:  # it came again, under a name of its own or without a token
                    self._renew(call)
                    call.settled = settled
                    return
                if settled.reason in FREE_THE_KEY:  # of its token; what it was told since was of the repetition
                    self._renew(call, settled)
                    return
            before = f"{call.settled.state} {call.settled.reason} {call.settled.text[:100]}"
            now = f"{settled.state} {settled.reason} {settled.text[:100]}"
            self.violate("a settled future stays as it is", f"{where}: it was {before!r} and is {now!r}", call)

    def unknown(self, call: Call, said: str) -> None:
        """A token of it was said to be none."""
        if self.lets_go_early:
            self.counts["gone early because of the limit"] += not call.is_gone
            call.is_gone = True
            return
        self.violate("no token is unknown", said[:300], call)

    def story(self, call: str) -> str:
        """The history of one call."""
        told = self.calls[call]
        lines = [f"{told.id}: {told.server}.{told.tool} key={told.key} scope={told.scope}"]
        lines[0] += f" tokens={sorted(told.tokens)} needs={told.needs}"
        lines += [f"    {event}" for event in told.events]
        return "\n".join(lines)

    def _is_same_json(self, call: Call, text: str) -> bool:
        if call.tool != "record":
            return False
        try:
            return json.loads(text) == payload.record(call.id, call.size)
        except ValueError:
            return False


def expected_value(call: Call, calls: dict[str, Call]) -> str:
    """What the server must have been given as `value`."""
    return "".join(part if isinstance(part, str) else calls[part.call].piece(part.path) for part in call.value)


def foretold(call: Call, calls: dict[str, Call]) -> str:
    """What somebody else's server makes of its arguments."""
    value = expected_value(call, calls)
    match call.server:
        case "fs":
            return f"Successfully wrote to {call.key}"
        case "memory":
            entity = {"name": call.id, "entityType": "call", "observations": [value]}
            return json.dumps([entity], indent=2, ensure_ascii=False)
        case "every":
            return f"Echo: {value}"
        case _:
            return ""


def _is_minted(token: str) -> bool:
    """Whether the gateway chose it; names that calls give themselves begin with n here, and no tool does."""
    return not token.startswith("fut_n")


def _difference(got: str, wanted: str) -> str:
    at = next((index for index, (one, other) in enumerate(zip(got, wanted, strict=False)) if one != other), None)
    if at is None:
        at = min(len(got), len(wanted))
    there, wanted_there = got[at : at + 80], wanted[at : at + 80]
    return f"{len(got)} characters instead of {len(wanted)}; from {at}: {there!r}, not {wanted_there!r}"


def labels(call: Call) -> Sequence[tuple[tuple[str, ...], bool]]:
    """What a call touches, by the suite's configuration: a path, and whether it writes there."""
    match call.server:
        case "box":
            return (((("box", call.key)), call.tool != "read"),)
        case "far":
            return ((("far",), True),)
        case "plain":
            return (((), call.tool != "read"),)
        case _:
            return ()


def conflict(one: Call, other: Call) -> bool:
    return any(
        (one_writes or other_writes) and _on_one_line(one_path, other_path)
        for one_path, one_writes in labels(one)
        for other_path, other_writes in labels(other)
    )


def _on_one_line(one: Iterable[str], other: Iterable[str]) -> bool:
    return all(left == right for left, right in zip(one, other, strict=False))
