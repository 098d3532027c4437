"""A live model with and without the gateway: `python -m benchmarks.live --base-url URL --model NAME`.

Plays a small suite of conversations (`suite`) with any model behind an OpenAI-compatible chat-completions
endpoint, in three arms: `sync` (straight to the servers, one call at a time), `parallel` (straight to the servers, the
calls of one message side by side, as today's assistants do) and `async` (the same through the gateway process). Arms
are paired: the same task with the same seed, facts and tool latencies, one arm after another in alternating order. What
is counted, and how, stands in `ledger`.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import click

from asyncfc_mcp.errors import GatewayError
from benchmarks.common import machine
from benchmarks.live.agent import Limits, converse
from benchmarks.live.endpoint import Endpoint
from benchmarks.live.report import ARMS, Arm, Row, as_json, as_table, row, versions
from benchmarks.live.suite import QUICK, TASKS, task
from benchmarks.live.tools import Toolbox, straight, through_gateway

MOST_FAULTS_IN_A_ROW = 3
QUICK_SCALE = 0.1


@dataclass(frozen=True, slots=True)
class Plan:
    """What is played."""

    tasks: Sequence[str] = tuple(TASKS)
    arms: Sequence[Arm] = ARMS
    repeats: int = 3
    seed: int = 1
    scale: float = 1.0
    """Of all tool latencies."""
    has_labels: bool = True
    """Whether the gateway's configuration says what tools read and write."""
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Of the gateway."""
    limits: Limits = field(default_factory=Limits)


async def measure(endpoint: Endpoint, plan: Plan, on_row: Callable[[Row], None] | None = None) -> list[Row]:
    """Play everything; ends early when the endpoint fails again and again.

    Raises:
        EndpointError: the model cannot be measured at all.
    """
    await endpoint.check()
    rows: list[Row] = []
    pairs = [(repeat, number, name) for repeat in range(plan.repeats) for number, name in enumerate(plan.tasks)]
    for repeat, number, name in pairs:
        first = (number + repeat) % len(plan.arms)
        order: list[Arm] = [*plan.arms[first:], *plan.arms[:first]]
        for place, arm in enumerate(order):
            rows.append(await _play(endpoint, plan, name, repeat, arm, place))
            if on_row is not None:
                on_row(rows[-1])
            if _is_out_of_order(rows):
                return rows
    return rows


def _is_out_of_order(rows: Sequence[Row]) -> bool:
    last = rows[-MOST_FAULTS_IN_A_ROW:]
    return len(last) == MOST_FAULTS_IN_A_ROW and all(one.ended == "endpoint" for one in last)


async def _play(endpoint: Endpoint, plan: Plan, name: str, repeat: int, arm: Arm, place: int) -> Row:
    seed = plan.seed + repeat
    played = task(name, seed)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        played.prepare(folder, seed, plan.scale)
        async with _toolbox(plan, arm, played.servers, folder) as toolbox:
            conversation = await converse(endpoint, toolbox, played, plan.limits, one_by_one=arm == "sync", seed=seed)
        misses = played.misses(folder, conversation.answers, frozenset(conversation.images))
    return row(name, repeat, arm, place, conversation, misses)


def _toolbox(plan: Plan, arm: Arm, servers: Sequence[str], folder: Path) -> AbstractAsyncContextManager[Toolbox]:
    if arm == "async":
        return through_gateway(servers, folder, plan.settings, has_labels=plan.has_labels)
    return straight(servers, folder)


def _chosen_tasks(_: click.Context, __: click.Parameter, text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    names = tuple(name.strip() for name in text.split(","))
    unknown = [name for name in names if name not in TASKS]
    if unknown:
        raise click.BadParameter(f"no task {', '.join(unknown)}; there are: {', '.join(TASKS)}")
    return names


def _chosen_arms(_: click.Context, __: click.Parameter, text: str) -> tuple[Arm, ...]:
    wanted = {name.strip() for name in text.split(",")}
    if not wanted <= set(ARMS):
        raise click.BadParameter(f"no arm {', '.join(sorted(wanted - set(ARMS)))}; there are: {', '.join(ARMS)}")
    return tuple(arm for arm in ARMS if arm in wanted)


@click.command()
@click.option("--base-url", envvar="OPENAI_BASE_URL", help="What stands before /chat/completions, such as …/v1.")
@click.option("--model", required=True, help="The model's name at the endpoint.")
@click.option("--api-key-env", default="OPENAI_API_KEY", show_default=True, help="The variable that holds the key.")
@click.option("--tasks", callback=_chosen_tasks, help="Only these, with commas between.")
@click.option("--arms", default=",".join(ARMS), show_default=True, callback=_chosen_arms, help="Only these.")
@click.option("--repeats", default=3, show_default=True, type=click.IntRange(min=1), help="Seeds for each task.")
@click.option("--seed", default=1, show_default=True, help="Of facts and latencies; also sent to the model.")
@click.option("--scale", default=1.0, show_default=True, type=click.FloatRange(min=0), help="Of tool latencies.")
@click.option("--temperature", type=float, help="Sent to the model; unset: its own.")
@click.option("--inline-wait-s", type=click.FloatRange(min=0), help="Of the gateway; unset: its default.")
@click.option("--labels/--no-labels", "has_labels", default=True, help="Whether tools have declared labels.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write it as JSON too.")
@click.option("--quick", is_flag=True, help="Three tasks, once, with short latencies.")
def main(
    *,
    base_url: str | None,
    model: str,
    api_key_env: str,
    tasks: tuple[str, ...] | None,
    arms: tuple[Arm, ...],
    repeats: int,
    seed: int,
    scale: float,
    temperature: float | None,
    inline_wait_s: float | None,
    has_labels: bool,
    json_file: Path | None,
    quick: bool,
) -> None:
    """Measure what the gateway does for and to a live model."""
    if not base_url:
        raise click.UsageError("no endpoint; name one with --base-url or OPENAI_BASE_URL")
    before = machine()
    plan = Plan(
        tasks=tasks or (QUICK if quick else tuple(TASKS)),
        arms=arms,
        repeats=1 if quick else repeats,
        seed=seed,
        scale=QUICK_SCALE if quick else scale,
        has_labels=has_labels,
        settings={} if inline_wait_s is None else {"inline_wait_s": inline_wait_s},
    )
    key = os.environ.get(api_key_env, "").strip() or None
    extra = {} if temperature is None else {"temperature": temperature}
    try:
        endpoint = Endpoint(base_url, model, key, api_key_env, extra)
        rows = anyio.run(_measure, endpoint, plan)
    except GatewayError as error:
        raise click.ClickException(str(error)) from None
    about: dict[str, Any] = {
        "model": model,
        "endpoint": endpoint.shown_url,
        "left_out": ",".join(sorted(endpoint.left_out)) or "nothing",
        "seed": seed,
        "repeats": plan.repeats,
        "scale": plan.scale,
        "labels": "declared" if has_labels else "assumed",
        "machine": before,
        "versions": versions(),
        "settings": dict(plan.settings),
    }
    print("\n".join(as_table(about, rows, seed=seed)))
    if json_file is not None:
        json_file.write_text(json.dumps(as_json(about, rows, seed=seed), indent=2), encoding="utf-8")
    if _is_out_of_order(rows):
        raise click.ClickException(f"stopped: the endpoint failed {MOST_FAULTS_IN_A_ROW} times in a row")


async def _measure(endpoint: Endpoint, plan: Plan) -> list[Row]:
    async with endpoint:
        return await measure(endpoint, plan, _print_progress)


def _print_progress(done: Row) -> None:
    verdict = "solved" if done.is_success else done.fault or "; ".join(done.misses) or f"ended by {done.ended}"
    print(f"{done.task} {done.repeat} {done.arm}: {done.wall_s:.1f} s, {verdict}", file=sys.stderr)


if __name__ == "__main__":
    main()
