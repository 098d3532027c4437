"""The real gateway process with ever more live futures: `python -m benchmarks.scale`.

How fast calls come in, how soon an awaiting client hears of a result meanwhile, what a future weighs, and how the
processor time of a call grows. The core by itself is `core_alone`'s.
"""

from __future__ import annotations

import asyncio
import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from benchmarks.common import Figure, machine, report
from benchmarks.scale.wire import Wire, milliseconds_since, started

SERVER = str(Path(__file__).with_name("server.py"))
SIZES = (1, 100, 1_000, 10_000, 100_000)
QUICK_SIZES = (200,)
NO_LIMIT = 10**6
WINDOW = 64
"""Calls that wait for their token at once."""
WARM_CALLS = 300
WAKE_UPS = 30
WAKE_AFTER_S = 0.03
LAST = 100
"""Of so many calls at the end it is awaited that they have settled: turns are given in the order of arrival."""
PING_EVERY_S = 0.02
MOST_BYTES_A_FUTURE = 3 * 1024
LEAST_TO_WEIGH = 1_000
"""Of fewer futures the resident memory says nothing."""
WAIT_S = 600
LOG_SHOWN = 2_000
"""Characters of the gateway's log that are shown when it fails."""
FREE: dict[str, list[str]] = {"reads": [], "writes": []}


@dataclass(frozen=True, slots=True)
class Cell:
    """One way to have many futures live."""

    name: str
    is_http: bool = False
    running: int | None = 64
    """How many calls run at once on the server, the others waiting for room; None for all of them."""
    conflicts: bool = False
    """Whether every call writes everything, so that one waits behind the other."""
    store: str = "sqlite"
    piggyback: str = "off"
    """With `values` each answer carries results of other calls, as it does by default."""


CELLS = (
    Cell("stdio"),
    Cell("stdio, memory store", store="memory"),
    Cell("stdio, all run", running=None),
    Cell("stdio, all conflict", conflicts=True),
    Cell("stdio, results attached", piggyback="values"),
    Cell("http", is_http=True, running=1_000),
    Cell("http, all conflict", is_http=True, running=1_000, conflicts=True),
)


@dataclass(frozen=True, slots=True)
class Scaled:
    """What one cell showed at one size; the times are those of the gateway's process alone where not said otherwise."""

    cell: str
    live: int
    submits_per_s: float
    """Calls that got their token, in a second of wall time."""
    submit_cpu_us: float | None
    """Processor time of a call from its arrival to its token, and of what goes on behind that meanwhile; None for too
    few to tell, since the system counts it in ticks."""
    settle_cpu_us: float | None
    """The same from the moment in which the server answers until all have settled."""
    settles_per_s: float
    bytes_a_future: float | None
    """Resident memory that came with them, arguments and all; None for too few to tell."""
    wake_up_ms: float
    """From the end of a call on its server to the client that awaits it, p50 while the others live."""
    wake_up_worst_ms: float
    direct_wake_up_ms: float
    """The same without a gateway, measured in turns with the other."""
    longest_pause_ms: float
    """The longest that a ping had to wait meanwhile."""

    @property
    def cpu_us(self) -> float | None:
        """Of the whole life of a call."""
        if self.submit_cpu_us is None or self.settle_cpu_us is None:
            return None
        return self.submit_cpu_us + self.settle_cpu_us


def document(cell: Cell, live: int, way: Mapping[str, Any]) -> dict[str, Any]:
    """The gateway's configuration: every limit that would be reached is lifted."""
    free = {"hold": FREE, "stamp": FREE}
    labels = {**free, "hold": {"writes": [""]}} if cell.conflicts else free
    running = live + 8 if cell.running is None else cell.running
    bulk = {"concurrency": running, "inline_wait_s": 0, "tools": labels}
    probe = {"command": sys.executable, "args": [SERVER], "asyncfc": {"concurrency": 64, "tools": free}}
    limits = {"max_unsettled": NO_LIMIT, "max_unsettled_total": NO_LIMIT, "max_running": NO_LIMIT}
    return {
        "mcpServers": {"bulk": {**way, "asyncfc": bulk}, "probe": probe},
        "asyncfc": {**limits, "await_cap_s": WAIT_S, "piggyback": cell.piggyback, "store": cell.store},
    }


def write(file: Path, document: Mapping[str, Any]) -> None:
    """Write a configuration."""
    file.write_text(json.dumps(document))


class Pings:
    """Asks the gateway again and again whether it is there, and notes the longest wait."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.longest_ms = 0.0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            asked = time.perf_counter()
            await self._wire.request("ping", {})
            self.longest_ms = max(self.longest_ms, (time.perf_counter() - asked) * 1e3)
            await asyncio.sleep(PING_EVERY_S)


@asynccontextmanager
async def pinged(wire: Wire) -> AsyncGenerator[Pings]:
    """Ping meanwhile."""
    pings = Pings(wire)
    task = asyncio.get_running_loop().create_task(pings.run())
    try:
        yield pings
    finally:
        task.cancel()


@asynccontextmanager
async def gateway(cell: Cell, live: int) -> AsyncGenerator[tuple[Wire, Path]]:
    """The gateway's process in front of the servers of a cell, and the socket that has its held calls answered."""
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        control, config = Path(folder, "control"), Path(folder, "config.json")
        way: dict[str, Any] = {"command": sys.executable, "args": [SERVER, "--control", str(control)]}
        if cell.is_http:
            way = {"url": await stack.enter_async_context(http_server(control))}
        write(config, document(cell, live, way))
        log = stack.enter_context(tempfile.TemporaryFile("w+", dir=folder))  # noqa: SIM115  # the stack closes it
        arguments = ["-m", "asyncfc_mcp", "serve", "--config", str(config)]
        state = str(Path(folder, "state"))
        try:
            yield await stack.enter_async_context(started(arguments, log, ASYNCFC_STATE_FOLDER=state)), control
        except RuntimeError as error:
            log.seek(0)
            raise RuntimeError(f"{error}; its log ended:\n{log.read()[-LOG_SHOWN:]}") from error


@asynccontextmanager
async def http_server(control: Path) -> AsyncGenerator[str]:
    """The address of a benchmark server on HTTP."""
    arguments = (SERVER, "--http", "--control", str(control))
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("a server without pipes")
    try:
        port = (await asyncio.wait_for(process.stdout.readline(), 20)).decode().strip()
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()


async def submit(wire: Wire, live: int) -> list[str]:
    """Have so many futures live; their tokens in the order of the calls."""
    tokens = [""] * live
    numbers = iter(range(live))

    async def send_some() -> None:
        for number in numbers:
            result = await wire.call("bulk_hold", key=f"key-{number}")
            tokens[number] = result["_meta"]["asyncfc/future"]["token"]

    await asyncio.gather(*(send_some() for _ in range(min(WINDOW, live))))
    return tokens


async def wake_up_ms(wire: Wire) -> float:
    """How late an awaiting client hears that a call has ended."""
    result = await wire.call("probe_stamp", after_s=WAKE_AFTER_S, _wait_s=0)
    token = result["_meta"]["asyncfc/future"]["token"]
    answer = await wire.call("await_future", futures=[token], timeout_s=WAIT_S)
    return milliseconds_since(answer["content"][0]["text"])


async def direct_wake_up_ms(direct: Wire) -> float:
    """The same where the call itself is waited for, at its server."""
    answer = await direct.call("stamp", after_s=WAKE_AFTER_S)
    return milliseconds_since(answer["content"][0]["text"])


async def settle(wire: Wire, tokens: Sequence[str], control: Path) -> None:
    """Let the server answer, and wait until the last calls have settled."""
    _, writer = await asyncio.open_unix_connection(control)
    writer.close()
    for token in tokens[-LAST:]:
        await wire.call("await_future", futures=[token], timeout_s=WAIT_S)


async def scaled(cell: Cell, live: int, direct: Wire) -> Scaled:
    """Live through one cell with so many futures."""
    async with gateway(cell, live) as (wire, control), pinged(wire) as pings:
        for _ in range(WARM_CALLS):
            await wire.call("probe_stamp", _wait_s=WAIT_S)
        pings.longest_ms = 0.0
        weight, cpu_s, began = wire.resident_bytes, wire.cpu_s, time.perf_counter()
        tokens = await submit(wire, live)
        took_s, submit_cpu_s = time.perf_counter() - began, wire.cpu_s - cpu_s
        grown = wire.resident_bytes - weight
        late: list[float] = []
        direct_late: list[float] = []
        for _ in range(WAKE_UPS):
            late.append(await wake_up_ms(wire))
            direct_late.append(await direct_wake_up_ms(direct))
        cpu_s, began = wire.cpu_s, time.perf_counter()
        await settle(wire, tokens, control)
        is_enough = live >= LEAST_TO_WEIGH
        return Scaled(
            cell.name,
            live,
            submits_per_s=live / took_s,
            submit_cpu_us=submit_cpu_s / live * 1e6 if is_enough else None,
            settle_cpu_us=(wire.cpu_s - cpu_s) / live * 1e6 if is_enough else None,
            settles_per_s=live / (time.perf_counter() - began),
            bytes_a_future=grown / live if is_enough else None,
            wake_up_ms=statistics.median(late),
            wake_up_worst_ms=max(late),
            direct_wake_up_ms=statistics.median(direct_late),
            longest_pause_ms=pings.longest_ms,
        )


async def measure(cells: Sequence[Cell], sizes: Sequence[int]) -> list[Scaled]:
    """Every cell at every size."""
    found: list[Scaled] = []
    async with started([SERVER], asyncio.subprocess.DEVNULL) as direct:
        for size in sizes:
            for cell in cells:
                found.append(await scaled(cell, size, direct))
                print_rows(found[-1:], with_head=len(found) == 1)
    return found


def figures(found: Sequence[Scaled]) -> list[Figure]:
    """What the rows say of the targets."""
    made: list[Figure] = []
    by_cell: Mapping[str, list[Scaled]] = {row.cell: [one for one in found if one.cell == row.cell] for row in found}
    for cell, rows in by_cell.items():
        weighed = [row for row in rows if row.bytes_a_future is not None]
        if weighed and weighed[-1].bytes_a_future is not None:
            # a call that runs has requests under way in both SDK ends, which is no weight of the future
            target = None if "all run" in cell else MOST_BYTES_A_FUTURE
            made.append(Figure(f"{cell}: a future at {weighed[-1].live} live", weighed[-1].bytes_a_future, "B", target))
        known = [(row.live, row.cpu_us) for row in rows if row.cpu_us is not None]
        if len(known) > 1:
            (fewest, first_us), (most, last_us) = known[0], known[-1]
            allowed = round(math.log(most) / math.log(fewest), 3)
            note = f"{first_us:.0f} to {last_us:.0f} us"
            made.append(
                Figure(f"{cell}: CPU a call at {most} live / at {fewest}", last_us / first_us, "x", allowed, note)
            )
        row = rows[-1]
        note = f"direct {row.direct_wake_up_ms:.2f} ms; worst of {WAKE_UPS}: {row.wake_up_worst_ms:.1f} ms"
        made.append(Figure(f"{cell}: wake-up with {row.live} live (p50)", row.wake_up_ms, "ms", None, note))
    return made


def print_rows(rows: Sequence[Scaled], *, with_head: bool) -> None:
    """One line a row, as they come."""
    if with_head:
        print(
            f"{'cell':<20} {'live':>6} {'submits/s':>9} {'CPU us':>7} {'settles/s':>9} {'CPU us':>7} {'B/future':>8} "
            f"{'wake ms':>8} {'worst':>7} {'direct':>7} {'pause ms':>8}"
        )
    for row in rows:
        print(
            f"{row.cell:<20} {row.live:>6} {row.submits_per_s:>9.0f} {_shown(row.submit_cpu_us):>7} "
            f"{row.settles_per_s:>9.0f} {_shown(row.settle_cpu_us):>7} {_shown(row.bytes_a_future):>8} "
            f"{row.wake_up_ms:>8.2f} "
            f"{row.wake_up_worst_ms:>7.1f} {row.direct_wake_up_ms:>7.2f} {row.longest_pause_ms:>8.0f}",
            flush=True,
        )


def _shown(figure: float | None) -> str:
    return "" if figure is None else f"{figure:.0f}"


@click.command()
@click.option("--json", "file", type=click.Path(path_type=Path), help="Write the results there as well.")
@click.option("--quick", is_flag=True, help="A smoke run with few futures.")
@click.option("--cell", "only", multiple=True, type=click.Choice([cell.name for cell in CELLS]))
@click.option("--live", "sizes", multiple=True, type=click.IntRange(min=1), help="How many futures; may be repeated.")
def main(*, file: Path | None, quick: bool, only: tuple[str, ...], sizes: tuple[int, ...]) -> None:
    """Measure the gateway with ever more live futures."""
    before = machine()
    print(", ".join(f"{key} {value}" for key, value in before.items()))
    cells = [cell for cell in CELLS if not only or cell.name in only]
    found = asyncio.run(measure(cells, sorted(sizes) or (QUICK_SIZES if quick else SIZES)))
    made = figures(found)
    is_met = report(made, before=before, as_json=False)
    if file is not None:
        rows = [{**asdict(row), "cpu_us": row.cpu_us} for row in found]
        file.write_text(json.dumps({"machine": before, "rows": rows, "figures": [asdict(f) for f in made]}, indent=2))
    sys.exit(0 if is_met else 1)


if __name__ == "__main__":
    main()
