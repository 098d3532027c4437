"""Nobody can keep the gateway busy by writing something long: four times the text takes about four times as long."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from asyncfc_mcp.config.policy import LabelSource, ToolHints, ToolPolicy
from asyncfc_mcp.config.problems import shown
from asyncfc_mcp.core.label import BadTemplate, Template, absolute_segments, normal_segment
from asyncfc_mcp.core.reference import ArgumentFault, find_references, parse_path, unescape
from asyncfc_mcp.core.substitution import substitute
from asyncfc_mcp.core.token import closest, is_mistyped, normalise
from asyncfc_mcp.core.value import ANY_SLOT, MISSING, Value
from asyncfc_mcp.downstream.links.framing import Line, LineSplitter, printable, response_id
from asyncfc_mcp.gateway.arguments.labelling import labels_of
from tests.fuzz.attempts import attempt

SMALL = 2_000
TIMES = 4
WORST = 10.0
"""Linear is 4, quadratic 16; a machine with other work to do lies between, seldom and not three times in a row."""

_PREFIXES = ("", "x ", "fut_x", "fut_x/", "${fut_x", "{", "/")
_REPEATED = (
    *(
        "${fut_",
        "${fut_a}",
        "fut_",
        "fut_a ",
        "fut_a-",
        "fut_a/",
        "$",
        "$${",
        "$${fut_",
        "${fut_a/b}",
        "${fut_a[",
        "~1",
    ),
    *(
        ".a",
        "[0]",
        "<",
        " ",
        "}",
        "é",
        "{a}",
        "{",
        "../",
        "a/",
        "\\",
        "C:/",
        "\u0345",
        "a",
        "a@",
        "://",
        "?",
        '"',
        '\\"',
    ),
)
TEXTS = [(prefix, repeated, ending) for prefix in _PREFIXES for repeated in _REPEATED for ending in ("", "é")]


def cost_s(work: Callable[[], object], *, runs: int = 1) -> float:
    """The processor time of its best run."""
    costs: list[float] = []
    for _ in range(runs):
        start = time.thread_time()
        work()
        costs.append(time.thread_time() - start)
    return min(costs)


def assert_linear(work_on: Callable[[int], Callable[[], object]], size: int = SMALL) -> None:
    ratios: list[float] = []
    for runs in (1, 2, 4):
        # What takes a millisecond in all is no danger, and nothing that could be compared either.
        ratios.append(cost_s(work_on(size * TIMES), runs=runs) / max(cost_s(work_on(size), runs=runs), 0.001))
        if ratios[-1] < WORST:
            return
    pytest.fail(f"{TIMES} times the size takes {ratios} times as long")


def read_references(text: str) -> None:
    for live in (True, False):
        str(attempt(lambda live=live: find_references({"v": text}, exists=lambda _: live), ArgumentFault))


def read_token(text: str) -> None:
    normalise(text)
    is_mistyped(text)
    closest(text, ["fut_a", "fut_b"])
    parse_path(text)
    unescape(text)


def read_template(text: str) -> None:
    str(attempt(lambda: Template.parse(text), BadTemplate))


def read_segments(text: str) -> None:
    absolute_segments(text)
    absolute_segments(f"/{text}")
    absolute_segments(f"C:\\{text}")
    normal_segment(text)


def read_line(text: str) -> None:
    data = text.encode()
    printable(data)
    for line in LineSplitter(1 << 30).feed(b'{"id":"' + data + b"\n"):
        response_id(line)
    response_id(Line(b"{" + data, b"," + data[-1024:]))


READERS = [read_references, read_token, read_template, read_segments, read_line, shown]


@pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)
def test_no_text_takes_longer_than_its_length(read: Callable[[str], object]) -> None:
    def work_on(prefix: str, repeated: str, ending: str, length: int) -> Callable[[], object]:
        text = prefix + repeated * (length // len(repeated)) + ending
        return lambda: read(text)

    for text in TEXTS:
        assert_linear(lambda length, text=text: work_on(*text, length))


@pytest.mark.parametrize("shape", ["embedded", "whole", "structured"])
def test_many_references_into_one_large_value_are_filled_in_linear_time(shape: str) -> None:
    def work_on(count: int) -> Callable[[], object]:
        items = list(range(count))
        text = json.dumps(items) + " " * count
        value = Value(
            "\\ud800" + text if shape == "structured" else text,
            items if shape == "structured" else MISSING,
            ("text",),
            wraps_result=False,
        )
        whole = [f"fut_x/{index}" for index in items]
        arguments = {"v": "".join(f"${{{one}}}" for one in whole)} if shape == "embedded" else {"v": whole}
        references = find_references(arguments, exists=bool)
        return lambda: substitute(arguments, references, {"fut_x": value}, lambda _: ANY_SLOT)

    assert_linear(work_on, 1_500)


def test_hundreds_of_deep_paths_are_labelled_within_a_moment() -> None:
    hints, templates = ToolHints(), ("fs/{paths:path}",)
    policy = ToolPolicy(
        "s", "t", "auto", 1, 1, 1, False, LabelSource.CONFIGURATION, templates, templates, True, True, hints
    )
    paths = [f"/no/{'deeper/' * 500}{number}" for number in range(256)]
    assert cost_s(lambda: labels_of(policy, {"paths": paths}, lambda _: False, cwd=Path("/"))) < 1
