"""Which values may go from which server into the arguments of which other: the user's rules, questions, the audit log.

A value carries the servers that it was made from: a future's own, and those of every future that its arguments referred
to. So a rule for A to C also holds for what B made of a value of A. What a model copies by hand carries nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal, NoReturn, cast

import anyio
import structlog

from asyncfc_mcp.config.models import FlowPolicy, FlowRule
from asyncfc_mcp.core.reference import Reference, in_words
from asyncfc_mcp.downstream.outcome import InputRefused
from asyncfc_mcp.errors import GatewayError
from asyncfc_mcp.gateway.caller import Caller
from asyncfc_mcp.gateway.flows.auditing import AuditLine, AuditLog
from asyncfc_mcp.gateway.future import Future
from asyncfc_mcp.gateway.reporting import nameable, scope_in_logs
from asyncfc_mcp.gateway.requester import ClientGone
from asyncfc_mcp.gateway.words.imitations import one_line

AskUser = Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
"""Puts one `{"method": …, "params": …}` of the wire to the user; the raw result, or InputRefused."""

ONCE = "allow once"
FOR_CONVERSATION = "allow for this conversation"
DENY = "deny"
MOST_REMEMBERED = 10_000
"""Permissions of users; the oldest is asked for again beyond that."""
QUESTION = "asyncfc-flow"
"""The key of our question among those that a client is shown."""
_ANSWER = "decision"
_LONGEST_ARGUMENT = 120
_LONGEST_NAME = 64

log = structlog.get_logger()


class FlowDenied(GatewayError):
    """A value may not go to a server: by a rule of the user's, or by what the user answered."""

    def __init__(self, crossing: Crossing, target: Target, why: str) -> None:
        super().__init__(
            f"{crossing.argument}: {crossing.source.token} holds a value of server {crossing.origin!r}, which may not "
            f"go to server {target.server!r} ({why}); nothing was sent. Go on without that value, and do not write it "
            "out by hand instead: only the user can allow this (`flows` in the gateway's configuration)"
        )
        self.token = crossing.source.token
        self.origin = crossing.origin
        self.target = target.server


@dataclass(frozen=True, slots=True)
class Target:
    """What would get the values."""

    server: str
    kind: Literal["tool", "prompt", "method"]
    name: str
    future: Future | None = None

    def __str__(self) -> str:
        """In words; a name is its server's, which must not write into the question whether it may have something."""
        return f"{self.server}: {one_line(self.name, _LONGEST_NAME)}"


@dataclass(frozen=True, slots=True)
class Crossing:
    """One value that would go to a server which is not its own, as far as one of its origins is concerned."""

    source: Future
    origin: str
    argument: str
    """In words."""


@dataclass(slots=True)
class Passage:
    """All that one call or request would take from other servers to its own."""

    caller: Caller
    target: Target
    crossings: tuple[Crossing, ...]
    asked: tuple[Crossing, ...]
    """Those that the user has to be asked about."""
    decisions: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    """By the identity of the source and the origin, for the audit log; `allow` where there is none."""

    @property
    def offers_conversation(self) -> bool:
        """Whether an answer can hold for later calls: nobody else is in the scope."""
        return self.caller.has_own_scope

    @property
    def question(self) -> dict[str, Any]:
        """The form for the user, as a request of the wire."""
        choices = [ONCE, *([FOR_CONVERSATION] if self.offers_conversation else []), DENY]
        schema = {
            "type": "object",
            "properties": {_ANSWER: {"type": "string", "title": "Decision", "enum": choices}},
            "required": [_ANSWER],
        }
        lines = [f"May this go to {self.target}?", *(_in_words(one) for one in self.asked)]
        params = {"mode": "form", "message": "\n".join(lines), "requestedSchema": schema}
        return {"method": "elicitation/create", "params": params}


class Flows:
    """Decides, asks and records.

    Args:
        rules: the first that fits counts; what none fits is allowed, and so is every server to itself.
        audit: where crossings are recorded; None for nowhere.
    """

    def __init__(self, rules: Sequence[FlowRule], audit: AuditLog | None) -> None:
        self._rules = tuple(rules)
        self._audit = audit
        self._allowed: OrderedDict[tuple[str, str, str], None] = OrderedDict()
        """By scope (or the identity of a future), origin and target."""
        self._changed = anyio.Event()

    def take_up(self, rules: Sequence[FlowRule], audit: AuditLog | None) -> None:
        """Go by other rules from now on, also for values that have not crossed yet; what users allowed stays so."""
        self._rules = tuple(rules)
        self._audit = audit

    def decision(self, origin: str, target: str) -> FlowPolicy:
        """What the rules say of values of one server in arguments of another."""
        if origin == target:
            return "allow"
        for rule in self._rules:
            if fnmatchcase(origin, rule.from_) and fnmatchcase(target, rule.to):
                return rule.policy
        return "allow"

    def check(
        self, caller: Caller, references: Sequence[Reference], needs: Mapping[str, Future], target: Target
    ) -> Passage | None:
        """What would cross, once it is known that no rule forbids it; None when nothing would.

        Raises:
            FlowDenied: a rule forbids it.
        """
        if not references:
            return None
        crossings = tuple(_crossings(references, needs, target.server))
        if not crossings:
            return None
        decisions = [self.decision(one.origin, target.server) for one in crossings]
        if "deny" in decisions:
            denied = crossings[decisions.index("deny")]
            self._refuse(Passage(caller, target, (denied,), ()), denied, "deny", "denied by a rule of the user's")
        to_ask = (one for one, decision in zip(crossings, decisions, strict=True) if decision == "ask")
        passage = Passage(caller, target, crossings, tuple(to_ask))
        self._drop_remembered(passage)
        return passage

    async def permit(self, passage: Passage, ask: AskUser) -> None:
        """Ask the user what has to be asked, and record what crosses; the values may be sent when this returns.

        Raises:
            FlowDenied: the user says no, or cannot be asked.
        """
        if passage.asked:
            answer = await self._ask(passage, ask)
            if answer is not None and passage.asked:  # else another call's answer came in the same moment
                self.take(passage, answer)
        await self.record(passage)

    def take(self, passage: Passage, answer: Mapping[str, Any], *, by_value: bool = False) -> None:
        """Take what the user answered to the passage's question.

        `by_value`: whether a permission for once holds for these very values, which are asked for in several rounds.

        Raises:
            FlowDenied: the user says no.
        """
        content = answer.get("content")
        chosen = cast("dict[str, Any]", content).get(_ANSWER) if isinstance(content, dict) else None
        is_lasting = chosen == FOR_CONVERSATION and passage.offers_conversation
        if answer.get("action") != "accept" or not (chosen == ONCE or is_lasting):
            self._refuse(passage, passage.asked[0], "declined", "the user was asked and did not allow it")
        for one in passage.asked:
            passage.decisions[one.source.call.future, one.origin] = str(chosen)
            if is_lasting:
                self._remember(passage.caller.scope, one.origin, passage.target.server)
            elif by_value:
                self._remember(one.source.call.future, one.origin, passage.target.server)
        passage.asked = ()

    async def record(self, passage: Passage) -> None:
        """Write into the audit log what is about to cross."""
        if self._audit is not None:
            await self._audit.write([_line(passage, one) for one in passage.crossings])

    async def _ask(self, passage: Passage, ask: AskUser) -> Mapping[str, Any] | None:
        """The user's answer; None when another call's answer has allowed the same meanwhile."""
        answer: Mapping[str, Any] | None = None
        refusal: object = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._until_remembered, passage, tasks.cancel_scope)
            try:
                answer = await ask(passage.question)
            except InputRefused as error:
                refusal = error
            except ClientGone:
                refusal = "its client has gone"
            tasks.cancel_scope.cancel()
        if refusal is not None and passage.asked:
            why = f"the user has to be asked, and {refusal}"
            self._refuse(passage, passage.asked[0], "not answered", why)
        return answer

    async def _until_remembered(self, passage: Passage, asking: anyio.CancelScope) -> None:
        while passage.asked:
            await self._changed.wait()
            self._drop_remembered(passage)
        asking.cancel()

    def _drop_remembered(self, passage: Passage) -> None:
        def is_remembered(one: Crossing) -> bool:
            held = (passage.caller.scope, one.source.call.future)
            return any((by, one.origin, passage.target.server) in self._allowed for by in held)

        for one in passage.asked:
            if is_remembered(one):
                passage.decisions[one.source.call.future, one.origin] = "allowed before"
        passage.asked = tuple(one for one in passage.asked if not is_remembered(one))

    def _remember(self, holder: str, origin: str, target: str) -> None:
        self._allowed[holder, origin, target] = None
        while len(self._allowed) > MOST_REMEMBERED:
            self._allowed.popitem(last=False)
        self._changed.set()
        self._changed = anyio.Event()

    def _refuse(self, passage: Passage, crossing: Crossing, decision: str, why: str) -> NoReturn:
        source, target = crossing.source, passage.target
        log.warning(
            "flow_refused",
            token=nameable(source),
            from_server=crossing.origin,
            to_server=target.server,
            to=target.name,
            decision=decision,
        )
        if self._audit is not None:
            passage.decisions[source.call.future, crossing.origin] = decision
            self._audit.begin([_line(passage, crossing)])
        raise FlowDenied(crossing, target, why)


def _crossings(references: Sequence[Reference], needs: Mapping[str, Future], server: str) -> list[Crossing]:
    return [
        Crossing(source, origin, in_words(reference.at))
        for reference in references
        for source in (needs[reference.token],)
        for origin in sorted(source.origins - {server})
    ]


def _in_words(crossing: Crossing) -> str:
    """What the user needs to decide; not the value, which may be secret and is another server's words."""
    source = crossing.source
    own = source.policy.server
    value = source.value()
    kind = f"{len(value.text):,} characters of text" if value.text is not None else "no text"
    made_from = "" if crossing.origin == own else f", made from values of {crossing.origin}"
    place = one_line(crossing.argument, _LONGEST_ARGUMENT)
    return f"{place}: the result of {source.tool_name} of {own} ({source.token}; {kind}{made_from})"


def _line(passage: Passage, crossing: Crossing) -> AuditLine:
    source, target = crossing.source, passage.target
    told: dict[str, Any] = {"server": source.policy.server, "tool": source.policy.tool, "future": nameable(source)}
    if crossing.origin != source.policy.server:
        told["made_from"] = crossing.origin
    goal: dict[str, Any] = {"server": target.server, target.kind: target.name, "argument": crossing.argument}
    if target.future is not None:
        goal["future"] = nameable(target.future)
    decision = passage.decisions.get((source.call.future, crossing.origin), "allow")
    return AuditLine(passage.caller.principal, scope_in_logs(passage.caller), told, goal, decision)
