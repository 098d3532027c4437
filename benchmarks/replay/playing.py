"""One program played once in the time-lapse, and all that is measured on one program."""

from __future__ import annotations

import gc
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import anyio
import structlog

from benchmarks import timelapse
from benchmarks.agents import PARALLEL, SYNC, Agent, Decode, Mode, jobs_of, plan_of, steps_of
from benchmarks.replay.conversation import Conversation, Played
from benchmarks.replay.in_process import behind_gateway, without_gateway
from benchmarks.schedule import Job, best_s, critical_path_s, replayed_s
from benchmarks.workloads.catalog import programs
from benchmarks.workloads.labels import Policy
from benchmarks.workloads.latency import LogNormalLatency, durations_s
from benchmarks.workloads.program import Program, Workload

LIMIT_S = 50_000.0
"""The bound of one program, by its own clock."""

InlineWait = float | str | None
"""The gateway's setting, whatever it takes; None for its default."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One program under one latency and one speed of writing."""

    workload: Workload
    number: int
    mean_s: float
    decode: Decode

    @property
    def program(self) -> Program:
        """The program itself."""
        return programs(self.workload)[self.number]

    @property
    def latency(self) -> LogNormalLatency:
        """How long its calls take."""
        return LogNormalLatency(self.mean_s, seed=self.number)


@dataclass(frozen=True, slots=True)
class Variant:
    """Who plays it, behind what."""

    agent: Agent
    policy: Policy
    mode: Mode
    inline_wait: InlineWait = None


@dataclass(frozen=True, slots=True)
class Sample:
    """What came of it."""

    setting: Setting
    variant: Variant
    took_s: float
    sync_s: float
    parallel_s: float
    best_s: float
    """The best schedule for the same steps."""
    replayed_s: float
    """The same waits and awaits without any overhead."""
    model_s: float
    """What the synchronous agent writes."""
    tools_s: float
    critical_path_s: float
    awaits: int
    is_right: bool
    """All results and the final state are those of the sequential run."""


def play(setting: Setting, variant: Variant) -> tuple[Played, bool]:
    """Play a program; how it went, and whether it came out right."""
    program, agent = setting.program, variant.agent
    steps = steps_of(program, agent, variant.policy, variant.mode, setting.decode)
    own_settings: Mapping[str, Any] = {} if variant.inline_wait is None else {"inline_wait_s": variant.inline_wait}
    backend = program.backend()
    servers = backend.servers(setting.latency)

    async def converse() -> Played:
        installation = (
            behind_gateway(program, servers, variant.policy, own_settings)
            if agent.uses_gateway
            else without_gateway(servers)
        )
        with anyio.fail_after(LIMIT_S):
            async with installation as wire:
                return await Conversation(program, steps, setting.decode, wire).play()

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    gc.collect()  # what earlier runs left behind is no work of this one
    played = timelapse.run(converse)
    return played, came_out_right(program, played) and backend.state() == program.expected_state


@cache
def warm_up() -> None:
    """Play a program whose time nobody counts: the first of a process pays for what is made once."""
    play(Setting("fanout", 0, 1.0, 1.0), Variant(Agent("eager", "turn"), "read_write", "waits"))
    gc.freeze()


def came_out_right(program: Program, played: Played) -> bool:
    """Whether the model was told what the sequential run gives, call for call."""
    for index, answer in enumerate(program.expected):
        said = played.said.get(index)
        if said is None or said.is_error != answer.is_error:
            return False
        # a failure that comes attached stands in a sentence of the gateway's
        if said.text != answer.text and not (answer.is_error and answer.text in said.text):
            return False
    return True


class Measurement:
    """All variants of one setting, beside the same two baselines."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._durations_s = durations_s(setting.program, setting.latency)
        self._sync_s = self._baseline_s(SYNC)
        self._parallel_s = self._baseline_s(PARALLEL)
        self._best_s: dict[Variant, float] = {}

    def sample(self, variant: Variant) -> Sample:
        """Play one variant."""
        setting, policy = self._setting, variant.policy
        played, is_right = play(setting, variant)
        jobs = jobs_of(setting.program, policy, self._durations_s)
        return Sample(
            setting,
            variant,
            took_s=played.took_s,
            sync_s=self._sync_s,
            parallel_s=self._parallel_s,
            best_s=self._best(variant, jobs),
            replayed_s=replayed_s(jobs, played.taken),
            model_s=sum(step.decode_s for step in steps_of(setting.program, SYNC, policy, "waits", setting.decode)),
            tools_s=sum(self._durations_s),
            critical_path_s=critical_path_s(jobs),
            awaits=played.awaits,
            is_right=is_right,
        )

    def goes_wrong(self, variant: Variant) -> bool:
        """Whether the program fails or comes out different; for labels that say nothing."""
        try:
            return not play(self._setting, variant)[1]
        except Exception:  # noqa: BLE001 - calls in a wrong order may break a scripted model in any way
            return True

    def _best(self, variant: Variant, jobs: tuple[Job, ...]) -> float:
        key = replace(variant, inline_wait=None)
        if key not in self._best_s:
            setting = self._setting
            steps = steps_of(setting.program, variant.agent, variant.policy, variant.mode, setting.decode)
            self._best_s[key] = best_s(plan_of(steps, jobs, setting.decode))
        return self._best_s[key]

    def _baseline_s(self, agent: Agent) -> float:
        # today's assistants answer when their calls have ended, so turns do not overlap; what a model sends side by
        # side is what it knows to be independent, whatever a gateway that it does not use has been told
        played, is_right = play(self._setting, Variant(agent, "read_write", "waits"))
        if not is_right:
            raise BaselineWentWrong(self._setting, agent)
        return played.took_s


class BaselineWentWrong(RuntimeError):
    """Without any gateway a program does not come out as the sequential run says: a fault of its workload."""

    def __init__(self, setting: Setting, agent: Agent) -> None:
        super().__init__(f"{setting.program.name}: {agent.name} gives other results than expected")
