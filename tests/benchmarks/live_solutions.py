"""A model that solves each task of the live suite, with and without the gateway: it awaits what it has started."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping
from typing import Any

from tests.benchmarks.scripted_endpoint import TOKENS, Json, Shown, call, say

Steps = Generator[Json, Shown, None]
Doing = Generator[Json, Shown, str]
Asked = tuple[str, Json]


class Solver:
    """Plays one solution; a conversation at a time."""

    def __init__(self, solution: Callable[[], Steps]) -> None:
        self._solution = solution
        self._running: Steps | None = None

    def __call__(self, shown: Shown) -> Json:
        if self._running is None or len(shown.messages) == 2:
            self._running = self._solution()
            return next(self._running)
        return self._running.send(shown)


def do(*calls: Asked) -> Doing:
    """Call side by side; all that they gave, once it is there."""
    shown = yield call(*calls)
    text = "\n".join(shown.results[-len(calls) :])
    tokens = TOKENS.findall(text)
    if not tokens:
        return text
    shown = yield call(("await_future", {"futures": tokens}))
    return text + shown.results[-1]


def read(*pages: str) -> Doing:
    return do(*(("library_read_page", {"page": page}) for page in pages))


def write(path: str, text: str) -> Doing:
    return do(("files_write_file", {"path": path, "text": text}))


def find(pattern: str, text: str) -> list[str]:
    """In the order of the text, each once."""
    return list(dict.fromkeys(re.findall(pattern, text)))


def pages_of(titles: list[str]) -> Doing:
    """The text of the pages with these titles."""
    hits = yield from do(*(("library_search", {"query": title}) for title in titles))
    ids = [find(rf'"id": "(\S+)", "title": "{title}"', hits)[0] for title in titles]
    return (yield from read(*ids))


def search_and_join() -> Steps:
    text = yield from pages_of(["Ana Brenner", "Tomas Okafor", "Mina Haldane", "Jules Vantour"])
    yield say(", ".join(find(r"Badge code: ([\w-]+)", text)))


def sum_of_reads() -> Steps:
    text = yield from read(*(f"budget-{name}" for name in ("north", "south", "east", "west", "centre")))
    yield say(f"{sum(map(int, find(r'Budget: ([0-9]+)', text))):,}")


def chain_of_pages() -> Steps:
    after = ["start"]
    text = ""
    while after:
        text = yield from read(after[0])
        after = find(r'"next": "([\w-]+)"', text)
    yield say(find(r"The seal is ([\w-]+)", text)[0])


def copy_and_submit() -> Steps:
    text = yield from do(("files_read_file", {"path": "log.txt"}))
    log = "\n".join(line for line in text.split("\n") if re.match(r"\d+\.  ", line))
    report = ("lab_submit_report", {"title": "Log", "body": log})
    given = yield from do(("files_write_file", {"path": "backup.txt", "text": log}), report)
    yield say(find(r'"receipt": "([\w-]+)"', given)[0])


def read_modify_write() -> Steps:
    apples = yield from do(("files_read_file", {"path": "apples.txt"}))
    pears = yield from do(("files_read_file", {"path": "pears.txt"}))
    more, less = (int(find(r"\b\d{5}\b", text)[0]) + change for text, change in ((apples, 417), (pears, -333)))
    yield from write("apples.txt", str(more))
    yield from write("pears.txt", str(less))
    yield say(f"{more} and {less}")


def last_write_wins() -> Steps:
    shown = yield call(("files_list_files", {}))
    first, last = find(r"[A-Z]{2}-\w{6}", shown.messages[1]["content"])
    yield from write("state.txt", first)
    yield from write("state.txt", last)
    yield say((yield from do(("files_read_file", {"path": "state.txt"}))))


def long_job_and_talk() -> Steps:
    score = yield from do(("lab_run_simulation", {"name": "tide"}))
    yield say("It has run.")
    yield say("7 days")
    yield say((yield from read("visitor-code")))
    yield say(score)


def failing_tool() -> Steps:
    yield from do(("lab_measure", {"sensor": "k3"}))
    yield say((yield from do(("lab_measure", {"sensor": "k7"}))))


def poisoned_chain() -> Steps:
    yield say((yield from do(("lab_measure", {"sensor": "k5"}))))


def image_with_caption() -> Steps:
    text = yield from do(("library_draw_chart", {"series": "rainfall"}))
    figure = find(r"Figure code: ([\w-]+)", text)[0]
    yield from write("figure.txt", figure)
    yield say(figure)


def many_turns() -> Steps:
    codes: list[str] = []
    for room in ("atrium", "cellar"):
        codes += find(r"Door code: ([\w-]+)", (yield from read(f"room-{room}")))
        yield say(codes[-1])
    yield from write("doors.txt", codes[0])
    yield say("Done.")
    codes += find(r"Door code: ([\w-]+)", (yield from read("room-loft")))
    yield say(codes[-1])
    yield from write("doors.txt", "\n".join(codes))
    yield say("Done.")
    yield say((yield from do(("files_read_file", {"path": "doors.txt"}))))


def job_beside_searches() -> Steps:
    job = yield from do(("lab_run_simulation", {"name": "delta"}))
    score = find(r'"score": (\d+)', job)[0]
    text = yield from pages_of(["Site harbour", "Site quarry", "Site orchard"])
    codes = [
        find(rf'"Site {name}", "text": "Site code: ([\w-]+)', text)[0] for name in ("harbour", "quarry", "orchard")
    ]
    yield from write("summary.txt", "\n".join([score, *codes]))
    yield say(score)


SOLUTIONS: Mapping[str, Callable[[], Steps]] = {
    solution.__name__: solution
    for solution in (
        search_and_join,
        sum_of_reads,
        chain_of_pages,
        copy_and_submit,
        read_modify_write,
        last_write_wins,
        long_job_and_talk,
        failing_tool,
        poisoned_chain,
        image_with_caption,
        many_turns,
        job_beside_searches,
    )
}


def solver(task: str) -> Any:
    return Solver(SOLUTIONS[task])
