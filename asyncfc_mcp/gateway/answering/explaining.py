"""Why a future has no value yet, in words, as far as the one who asks may know."""

from __future__ import annotations

from collections.abc import Sequence

from asyncfc_mcp.core.future import FutureState
from asyncfc_mcp.core.record import Blocker
from asyncfc_mcp.downstream.pool import Pool
from asyncfc_mcp.downstream.status import ConnectionState
from asyncfc_mcp.gateway.caller import Caller
from asyncfc_mcp.gateway.future import Future
from asyncfc_mcp.gateway.questions.asking import Questions
from asyncfc_mcp.gateway.running.runner import Runner
from asyncfc_mcp.gateway.table import FutureTable
from asyncfc_mcp.gateway.words import wording


class Explanations:
    """Knows what futures wait for."""

    def __init__(self, runner: Runner, table: FutureTable, pool: Pool, questions: Questions) -> None:
        self._runner = runner
        self._table = table
        self._pool = pool
        self._questions = questions

    def why_it_waits(self, future: Future, caller: Caller, *, is_its_own_request: bool = False) -> str:
        """Behind which call, for which label, value or answer, as far as the caller may know; else empty.

        `is_its_own_request`: whether this is said to whoever has just sent the call, and so wrote its references.
        """
        if not self._runner.knows(future) or future.ends_as is not None:
            return ""
        match future.record.state:
            case FutureState.RUNNING:
                server = future.policy.server
                status = self._pool.status(server, was_sent=self._runner.has_sent(future))
                if status is None or status.state is ConnectionState.READY:
                    return ""
                return wording.for_its_server(server, status)
            case FutureState.INPUT_REQUIRED:
                return wording.for_the_user([question.in_words for question in self._questions.open(future)])
            case _:
                blockers = self._runner.scheduler.blockers(future.call.future)
                return wording.why_it_waits(blockers, self._tokens_of(blockers, caller, wrote_them=is_its_own_request))

    def _tokens_of(self, blockers: Sequence[Blocker], caller: Caller, *, wrote_them: bool) -> dict[str, str]:
        """What the caller may call each blocker: a stranger's token would give its value away."""
        tokens: dict[str, str] = {}
        # a call may be behind the same one both for its value and for a label
        written = {one.future for one in blockers if one.is_data} if wrote_them else set[str | None]()
        for one in blockers:
            if one.future is not None:
                blocker = self._table.by_identity(one.future)
                is_known = caller.may_name(blocker.caller) or one.future in written
                tokens[one.future] = blocker.token if is_known else wording.SOMEBODY_ELSES
        return tokens
