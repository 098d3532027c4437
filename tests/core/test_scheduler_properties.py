"""The scheduler under random programs: whatever happens, the invariants hold after every event, and all ends well."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, precondition, rule

from asyncfc_mcp.core.future import FutureState
from asyncfc_mcp.core.scheduler import Scheduler
from tests.core.program import Program

PATHS = ["", "a", "a/b", "a/b/c", "a/d", "e", "e/f"]
ROOM = st.sampled_from([{}, {"one": 1, "two": 2}, {"one": 3, "two": 1}])
IN_ALL = st.sampled_from([None, 1, 2, 3])
LABELS = st.lists(
    st.sampled_from([f"{access}:{path}" for access in "rwRW" for path in PATHS]),
    max_size=3,
    unique=True,
)


class AnyProgram(RuleBasedStateMachine):
    """Sends, answers, finishes, fails, times out, cancels, tells and forgets in any order that a shell may produce.

    All the while the user changes limits and rules in the configuration.
    """

    sent = Bundle("sent")

    @initialize(
        strict=st.booleans(),
        stops=st.booleans(),
        room=ROOM,
        in_all=IN_ALL,
    )
    def start(self, strict: bool, stops: bool, room: dict[str, int], in_all: int | None) -> None:
        self.program = Program(
            Scheduler(is_strict=strict, stops_unseen=stops, concurrency=room, max_running=in_all),
        )
        self.count = 0

    def tokens(self, *states: FutureState) -> list[str]:
        records = self.program.scheduler.records.values()
        return [record.call.future for record in records if record.state in states]

    @rule(
        target=sent,
        labels=LABELS,
        scope=st.sampled_from(["s", "t"]),
        server=st.sampled_from(["one", "two"]),
        answered=st.booleans(),
        had_started=st.booleans(),
        data=st.data(),
    )
    def submit(
        self, labels: list[str], scope: str, server: str, *, answered: bool, had_started: bool, data: st.DataObject
    ) -> str:
        self.count += 1
        token = f"f{self.count}"
        known = sorted(self.program.scheduler.records)
        needs = data.draw(st.lists(st.sampled_from(known), max_size=2, unique=True)) if known else []
        # an earlier process can have begun only what had its values
        records = self.program.scheduler.records
        had_started = had_started and all(records[need].is_settled for need in needs)
        self.program.submit(token, *labels, needs=tuple(needs), scope=scope, server=server, had_started=had_started)
        if answered:
            self.program.answer(token)
        return token

    @rule(
        target=sent,
        state=st.sampled_from([FutureState.RESOLVED, FutureState.FAILED, FutureState.CANCELLED]),
        scope=st.sampled_from(["s", "t", "only old ones"]),
    )
    def recall(self, state: FutureState, scope: str) -> str:
        self.count += 1
        token = f"old{self.count}"
        assert self.program.recall(token, state, scope) == []
        return token

    @rule(token=sent, with_token=st.booleans())
    def answer(self, token: str, with_token: bool) -> None:
        if token in self.program.scheduler.records:
            self.program.answer(token, with_token=with_token)

    @precondition(lambda self: self.tokens(FutureState.RUNNING, FutureState.CANCELLING))
    @rule(data=st.data(), how=st.sampled_from(["succeed", "fail", "time_out"]))
    def finish(self, data: st.DataObject, how: str) -> None:
        token = data.draw(st.sampled_from(self.tokens(FutureState.RUNNING, FutureState.CANCELLING)))
        getattr(self.program, how)(token)

    @rule(token=sent)
    def end(self, token: str) -> None:
        record = self.program.scheduler.records.get(token)
        if record and record.started_at is not None and (record.is_settled or record.state is FutureState.CANCELLING):
            self.program.end(token)

    @rule(token=sent)
    def cancel(self, token: str) -> None:
        if token in self.program.scheduler.records:
            self.program.cancel(token)

    @rule(token=sent)
    def tell(self, token: str) -> None:
        record = self.program.scheduler.records.get(token)
        if record and record.is_settled:
            self.program.tell(token)

    @rule(token=consumes(sent))
    def forget(self, token: str) -> None:
        record = self.program.scheduler.records.get(token)
        if record and record.is_forgettable:
            self.program.forget(token)

    @rule(room=ROOM, in_all=IN_ALL, strict=st.booleans(), stops=st.booleans())
    def reconfigure(self, room: dict[str, int], in_all: int | None, strict: bool, stops: bool) -> None:
        records = self.program.scheduler.records
        before = {token: (record.state, record.call.labels) for token, record in records.items()}
        started = self.program.reconfigure(room, in_all, is_strict=strict, stops_unseen=stops)
        for token, (state, labels) in before.items():
            assert records[token].call.labels == labels, "a call keeps the labels that it came with"
            was_stopped = state is FutureState.PENDING and records[token].state is FutureState.FAILED
            assert records[token].state is state or token in started or was_stopped

    def teardown(self) -> None:
        if not hasattr(self, "program"):
            return
        records = self.program.scheduler.records
        while unfinished := [one for one in records.values() if one.started_at is not None and not one.has_ended]:
            finish = self.program.end if unfinished[0].is_settled else self.program.succeed
            finish(unfinished[0].call.future)
        assert not self.tokens(FutureState.PENDING), "everything settles once every server has answered"
        for token in list(self.program.scheduler.records):
            self.program.tell(token)
        assert self.program.scheduler.scopes == {}, "the trees end empty"
        rooms = self.program.scheduler.rooms
        assert [rooms.running, *(room.running for room in rooms.by_server.values())] == [0] * (1 + len(rooms.by_server))


AnyProgram.TestCase.settings = settings(max_examples=200, stateful_step_count=30)
TestAnyProgram = AnyProgram.TestCase
