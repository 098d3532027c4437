"""Whether calls really overlap, through the real process over stdio: `python -m benchmarks.overlap`.

Exit code 1 when a target is missed; a busy machine misses them by itself, so its load stands in the report.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import anyio
import click
from mcp import Client

from benchmarks.common import (
    Figure,
    direct_process,
    first_text,
    gateway_process,
    machine,
    report,
    server_entry,
    token_of,
)

CALL_S = 1.0
COUNTS = (1, 8, 64)
QUICK_COUNTS = (8,)
SETTLED_S = 1.1
LINKS = 5
LINK_MS = 10.0
INLINE_WAIT_S = 0.25
TOKEN_MS = 30.0
TOKEN_SAMPLES = 20
OTHERS = 20
"""Conversations that call without a pause beside the one whose tokens are timed."""
BUSY_TOKEN_MS = 100.0
NEW_STEP_S = 0.15
"""Calls that come sooner after an answer share its inline wait."""
ORDERED_CALLS = 64

FREE: dict[str, list[str]] = {"reads": [], "writes": []}
SERVERS = {
    "free": server_entry(concurrency=64, inline_wait_s=0, tools={"relay": FREE}),
    "plain": server_entry(concurrency=64, inline_wait_s=0),
    "patient": server_entry(concurrency=64, inline_wait_s=INLINE_WAIT_S, tools={"relay": FREE}),
}


async def settle_all(client: Client, tokens: Sequence[str]) -> None:
    """Wait until every future has settled, as one request."""
    answer = await client.call_tool("await_future", {"futures": list(tokens), "timeout_s": 40})
    if "Still unsettled" in str(answer.content[-1]):
        raise RuntimeError("futures did not settle in 40 s")


async def side_by_side(client: Client, server: str, count: int) -> float:
    """Seconds from the first submit until the last has settled, all sent at once."""
    tokens: list[str] = []

    async def submit(number: int) -> None:
        answer = await client.call_tool(f"{server}_relay", {"text": str(number), "seconds": CALL_S})
        tokens.append(token_of(answer))

    started = time.perf_counter()
    async with anyio.create_task_group() as calls:
        for number in range(count):
            calls.start_soon(submit, number)
    await settle_all(client, tokens)
    return time.perf_counter() - started


async def without_gateway(count: int) -> float:
    """Seconds until the last answer of calls sent at once straight to the server."""
    async with direct_process() as client:
        await client.call_tool("relay", {"text": "warm", "seconds": 0})
        started = time.perf_counter()
        async with anyio.create_task_group() as calls:
            for _ in range(count):
                calls.start_soon(client.call_tool, "relay", {"text": "x", "seconds": CALL_S})
        return time.perf_counter() - started


async def one_after_another(client: Client, count: int) -> tuple[float, float]:
    """The same when each is sent after the last answer; also seconds from the first submit until the last token."""
    started = time.perf_counter()
    arguments = {"text": "x", "seconds": CALL_S}
    tokens = [token_of(await client.call_tool("free_relay", arguments)) for _ in range(count)]
    submitted = time.perf_counter()
    await settle_all(client, tokens)
    return time.perf_counter() - started, submitted - started


async def chain_ms_a_link(client: Client) -> float:
    """What each link costs beyond its own second, when every call gets the token before it."""
    started = time.perf_counter()
    text = "x"
    for _ in range(LINKS):
        text = token_of(await client.call_tool("free_relay", {"text": text, "seconds": CALL_S}))
    await settle_all(client, [text])
    return (time.perf_counter() - started - LINKS * CALL_S) / LINKS * 1000


async def tokens_late_ms(client: Client) -> list[float]:
    """How long after the end of the inline wait each token was in hand."""
    late: list[float] = []
    tokens: list[str] = []
    for _ in range(TOKEN_SAMPLES):
        await anyio.sleep(NEW_STEP_S)
        started = time.perf_counter()
        tokens.append(token_of(await client.call_tool("patient_relay", {"text": "x", "seconds": CALL_S})))
        late.append((time.perf_counter() - started - INLINE_WAIT_S) * 1000)
    await settle_all(client, tokens)
    return late


async def tokens_beside_others_ms(client: Client) -> list[float]:
    """How long each token of one conversation takes while others keep the gateway busy."""
    took: list[float] = []
    tokens: list[str] = []

    async def go_on(scope: str) -> None:
        while True:
            call = {"text": "x", "seconds": 0, "_wait_s": 30}
            await client.call_tool("free_relay", call, meta={"asyncfc/scope": scope})

    async with anyio.create_task_group() as others:
        for number in range(OTHERS):
            others.start_soon(go_on, f"other {number}")
        await anyio.sleep(NEW_STEP_S)
        for number in range(TOKEN_SAMPLES):
            started = time.perf_counter()
            call = {"text": "x", "seconds": CALL_S}
            answer = await client.call_tool("plain_relay", call, meta={"asyncfc/scope": f"timed {number}"})
            took.append((time.perf_counter() - started) * 1000)
            tokens.append(token_of(answer))
        others.cancel_scope.cancel()
    await settle_all(client, tokens)
    return took


async def out_of_order(client: Client) -> int:
    """How many of the unlabelled calls that were sent one after another did not run in their place."""
    chance = random.Random(1)
    names = [str(number) for number in range(ORDERED_CALLS)]
    for name in names:
        await client.call_tool("plain_note", {"text": name, "seconds": chance.uniform(0, 0.02)})
    written: list[str] = json.loads(first_text(await client.call_tool("plain_notes", {"_wait_s": 30})))
    return sum(one != other for one, other in zip(names, written, strict=True))


async def measure(runs: int, counts: Sequence[int]) -> list[Figure]:
    """Everything, in about a minute."""
    figures: list[Figure] = []
    direct = [await without_gateway(counts[-1]) for _ in range(runs)]
    what = f"{counts[-1]} calls of 1 s side by side, without a gateway"
    figures.append(Figure(what, statistics.median(direct), "s", note=f"worst of {runs}: {max(direct):.3f}"))
    async with gateway_process(SERVERS) as client:
        for server in SERVERS:
            await client.call_tool(f"{server}_relay", {"text": "warm", "seconds": 0, "_wait_s": 30})
        for server, labels in (("free", "labels empty"), ("plain", "labels assumed")):
            for count in counts:
                took = [await side_by_side(client, server, count) for _ in range(runs)]
                figures.append(settled(f"{count} calls of 1 s side by side, {labels}", took))
        for count in counts:
            times = [await one_after_another(client, count) for _ in range(runs)]
            submit_ms = statistics.median(submitted for _, submitted in times) / count * 1000
            note = f"; {submit_ms:.1f} ms to send each"
            figures.append(
                settled(f"{count} calls of 1 s one after another, labels empty", [t for t, _ in times], note)
            )
        links = [await chain_ms_a_link(client) for _ in range(runs)]
        what = f"chain of {LINKS} tokens of 1 s, beyond 1 s a link (p50)"
        figures.append(Figure(what, statistics.median(links), "ms", LINK_MS, f"worst of {runs}: {max(links):.1f}"))
        late = await tokens_late_ms(client)
        figures.append(Figure("token in hand after the inline wait (p50)", statistics.median(late), "ms", TOKEN_MS))
        figures.append(Figure(f"token in hand after the inline wait (worst of {len(late)})", max(late), "ms", TOKEN_MS))
        busy = await tokens_beside_others_ms(client)
        what = f"token in hand beside {OTHERS} others that call without a pause (p50)"
        figures.append(
            Figure(what, statistics.median(busy), "ms", BUSY_TOKEN_MS, f"worst of {len(busy)}: {max(busy):.1f}")
        )
        what = f"{ORDERED_CALLS} unlabelled calls one after another, out of place"
        figures.append(Figure(what, await out_of_order(client), "", 0))
    return figures


def settled(what: str, took: Sequence[float], note: str = "") -> Figure:
    """The median of some runs against the target."""
    return Figure(what, statistics.median(took), "s", SETTLED_S, f"worst of {len(took)}: {max(took):.3f}{note}")


@click.command()
@click.option("--json", "file", type=click.Path(path_type=Path), help="Write the results there as well.")
@click.option("--quick", is_flag=True, help="A smoke run: everything once, with few calls.")
@click.option("--runs", default=3, show_default=True, type=click.IntRange(min=1), help="How often each is measured.")
def main(*, file: Path | None, quick: bool, runs: int) -> None:
    """Measure how well calls overlap."""
    before = machine()
    figures = anyio.run(measure, 1, QUICK_COUNTS) if quick else anyio.run(measure, runs, COUNTS)
    is_met = report(figures, before=before, as_json=False)
    if file is not None:
        rows = [asdict(figure) for figure in figures]
        file.write_text(json.dumps({"machine_before": before, "machine_after": machine(), "figures": rows}, indent=2))
    sys.exit(0 if is_met or quick else 1)


if __name__ == "__main__":
    main()
