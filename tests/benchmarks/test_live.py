"""The live benchmark, from the command to the report, with models that are scripts."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest
from click.testing import CliRunner, Result
from starlette.responses import JSONResponse, Response

from benchmarks.live.__main__ import Plan, main, measure
from benchmarks.live.endpoint import Endpoint
from benchmarks.live.report import Arm, Row
from tests.benchmarks.scripted_endpoint import (
    COMPLETION_TOKENS,
    PROMPT_TOKENS,
    Json,
    Model,
    Shown,
    Stub,
    call,
    endpoint,
    refusal,
    say,
)
from tests.bounds import bound_s

NAMES = ("north", "south", "east", "west", "centre")
READS = [("library_read_page", {"page": f"budget-{name}"}) for name in NAMES]
TOKENS_AT_ONCE = {"inline_wait_s": 0, "piggyback": "off"}
SLOW_READS = 0.1
"""Tool latencies around 0.2 s."""
KEY = "sk-nobody-may-see-this"


def budgets(shown: Shown) -> Json:
    """The answer of a model that has read the five pages."""
    found = set(re.findall(r"Budget: ([0-9]+)", " ".join(shown.results)))
    return say(f"The sum is {sum(map(int, found)):,}.")


def good(shown: Shown) -> Json:
    if shown.round == 0:
        return call(*READS)
    if shown.round == 1 and shown.tokens:
        return call(("await_future", {"futures": shown.tokens}))
    return budgets(shown)


def fabricating(shown: Shown) -> Json:
    """Says sums and uses a page id that it cannot know, before it has read anything; then does it right."""
    match shown.round:
        case 0:
            return call(*READS)
        case 1:
            return {**call(("library_read_page", {"page": "zz-9zzzzz"})), "content": "It may be 99,123."}
        case 2:
            return say("The sum is 99123, or perhaps 98765.")
        case _:
            raise AssertionError


def polling(shown: Shown) -> Json:
    """Awaits what it knows, and looks at it and at the list again."""
    one = shown.tokens[:1]
    match shown.round:
        case 0:
            return call(*READS)
        case 1:
            return call(("await_future", {"futures": shown.tokens}))
        case 2:
            return call(("get_future", {"future": one[0]}), ("await_future", {"futures": one}))
        case 3 | 4:
            return call(("await_future", {}))
        case _:
            return budgets(shown)


def forgetful(shown: Shown) -> Json:
    """Awaits two of five and answers."""
    match shown.round:
        case 0:
            return call(*READS)
        case 1:
            return call(("await_future", {"futures": shown.tokens[:2]}))
        case _:
            return say("I have started to read the pages.")


def careless(shown: Shown) -> Json:
    """Writes arguments that are no JSON, or no object, and a tool that does not exist."""
    if shown.round == 0:
        return call(("library_read_page", '{"page": '), ("library_read_page", "[1]"), ("library_open", {}))
    if shown.round == 1:
        return call(*READS)
    return good(shown) if shown.round == 2 and not shown.tokens else finishing(shown)


def finishing(shown: Shown) -> Json:
    return budgets(shown) if shown.round > 2 else call(("await_future", {"futures": shown.tokens}))


def play(model: Model, *arms: Arm, task: str = "sum_of_reads", scale: float = SLOW_READS, **settings: Any) -> list[Row]:
    plan = Plan([task], arms, repeats=1, scale=scale, settings=TOKENS_AT_ONCE | settings)

    async def run(url: str) -> list[Row]:
        async with Endpoint(url, "script", None, "NO_KEY") as at:
            with anyio.fail_after(bound_s(60)):
                return await measure(at, plan)

    with endpoint(model) as stub:
        return anyio.run(run, stub.url)


def test_a_query_of_the_base_url_stays_one() -> None:
    async def ask(url: str) -> str:
        async with Endpoint(url, "script", None, "NO_KEY") as at:
            with anyio.fail_after(bound_s(20)):
                await at.check()
                return at.shown_url

    with endpoint(good) as stub:
        assert anyio.run(ask, f"{stub.url}/?api-version=1") == stub.url


def test_a_good_model_solves_the_task_in_every_arm_and_is_counted_exactly() -> None:
    sync, parallel, through = play(good, "sync", "parallel", "async")
    assert [row.misses for row in (sync, parallel, through)] == [(), (), ()]
    assert all(row.is_success for row in (sync, parallel, through))
    assert [row.rounds for row in (sync, parallel, through)] == [2, 2, 3]
    assert through.prompt_tokens == 3 * PROMPT_TOKENS
    assert through.completion_tokens == 3 * COMPLETION_TOKENS
    assert (through.futures, through.calls) == (5, 6)
    strange = (through.made_up, through.useless_polls, through.unread, through.broken_calls, through.polls)
    assert strange == (0, 0, 0, 0, 0)


def test_parallel_calls_take_less_time_than_one_after_another() -> None:
    tries = (play(good, "sync", "parallel") for _ in range(3))  # a busy machine may hold up one of them
    assert any(sync.wall_s > parallel.wall_s for sync, parallel in tries)


def test_values_made_up_for_pending_futures_are_each_counted_once() -> None:
    (row,) = play(fabricating, "async")
    assert row.made_up_values == ("99123 (answer)*", "zz-9zzzzz (library_read_page)*", "98765 (answer)*")
    assert (row.made_up, row.fabricated, row.is_success) == (3, 3, False)


def test_a_value_made_up_without_a_pending_future_is_no_fabricated_one() -> None:
    (row,) = play(fabricating, "parallel")
    assert (row.made_up, row.fabricated, row.futures) == (3, 0, 0)


def test_polls_that_have_nothing_to_learn_are_counted() -> None:
    (row,) = play(polling, "async")
    assert row.is_success
    assert (row.polls, row.useless_polls) == (1, 4)


def test_futures_that_were_never_told_are_unread() -> None:
    (row,) = play(forgetful, "async")
    assert (row.futures, row.unread, row.forgotten) == (5, 3, 3)
    assert row.misses == ("answer 1 lacks 1 of 1 facts",)


def test_a_result_that_comes_with_a_later_one_is_told() -> None:
    def patient(shown: Shown) -> Json:
        match shown.round:
            case 0:
                return call(("lab_measure", {"sensor": "k7"}))
            case 1:  # it fails, after it has taken much longer than a sensor
                return call(("lab_run_simulation", {"name": "none", "_wait_s": 30}))
            case _:
                return say(f"It reads {reading(shown)}.")

    (row,) = play(patient, "async", task="failing_tool", piggyback="values")
    assert (row.futures, row.unread, row.made_up, row.is_success) == (1, 0, 0, True)


def reading(shown: Shown) -> str:
    return re.findall(r'"reading": ([0-9]+)', shown.results[-1])[0]


def test_calls_that_cannot_be_sent_are_counted_and_the_model_is_told() -> None:
    rows = play(careless, "parallel", "async")
    assert [(row.broken_calls, row.is_success) for row in rows] == [(3, True), (3, True)]


def test_a_model_that_never_ends_is_given_up() -> None:
    def endless(shown: Shown) -> Json:
        return call(("library_search", {"query": f"north {shown.round}"}))

    (row,) = play(endless, "parallel", scale=0)
    assert (row.ended, row.rounds, row.is_success) == ("rounds", 40, False)


def test_the_image_of_a_tool_arrives_through_the_gateway_too() -> None:
    def drawing(shown: Shown) -> Json:
        match shown.round:
            case 0:
                return call(("library_draw_chart", {"series": "rainfall"}))
            case 1 if shown.tokens:
                return call(("await_future", {"futures": shown.tokens}))
            case _ if "Wrote" not in " ".join(shown.results) and "stands for" not in shown.results[-1]:
                return call(("files_write_file", {"path": "figure.txt", "text": code(shown)}))
            case _:
                return say(f"It is {code(shown)}.")

    rows = play(drawing, "sync", "async", task="image_with_caption", scale=0.4)
    assert [row.misses for row in rows] == [(), ()]
    # the write was answered with a token, and nobody asked whether it went well
    assert [row.unread for row in rows] == [0, 1]


def code(shown: Shown) -> str:
    return re.findall(r"Figure code: (\S+)", " ".join(shown.results))[0]


# The command


def run(stub: Stub, *arguments: str, key: str | None = None) -> Result:
    env = {"OPENAI_API_KEY": key, "OPENAI_BASE_URL": None}
    return CliRunner().invoke(main, ["--base-url", stub.url, "--model", "script", *arguments], env=env)


def test_the_command_prints_a_table_and_writes_json_without_the_key(tmp_path: Path) -> None:
    def model(shown: Shown) -> Any:
        return refusal(400, "seed is not a parameter that I know") if "seed" in shown.body else good(shown)

    file = tmp_path / "live.json"
    with endpoint(model) as stub:
        result = run(stub, "--quick", "--tasks", "sum_of_reads", "--json", str(file), key=KEY)
    assert result.exit_code == 0, result.output
    written = file.read_text(encoding="utf-8")
    report = json.loads(written)
    assert KEY not in result.output + written
    assert f"Bearer {KEY}" in stub.keys
    assert report["left_out"] == "seed"
    assert [(row["arm"], row["is_success"]) for row in report["conversations"]] == [
        ("sync", True),
        ("parallel", True),
        ("async", True),
    ]
    wall = next(one for one in report["comparisons"] if (one["metric"], one["against"]) == ("wall_s", "sync"))
    assert (wall["kind"], wall["pairs"], wall["low"]) == ("ratio", 1, None)
    assert "useless_polls" in result.output
    assert {"parallel_tool_calls" in body for body in stub.bodies} == {True, False}


@pytest.mark.parametrize(
    ("answer", "key", "words"),
    [
        (refusal(401, f"wrong key {KEY}"), KEY, ["401", "the key in OPENAI_API_KEY was refused"]),
        (refusal(401, "no key"), None, ["401", "OPENAI_API_KEY is not set"]),
        (refusal(404, f"no model for {KEY}"), KEY, ["404", "no model for (key)", "/v1"]),
        (refusal(400, "this model does not support tools"), None, ["does not call tools", "function calling"]),
        (say("ready"), None, ["does not call tools", "'ready'"]),
        ({"role": "assistant", "content": 5}, None, ["no chat completion"]),
    ],
)
def test_what_is_wrong_with_an_endpoint_is_said_without_the_key(
    answer: Any, key: str | None, words: Sequence[str]
) -> None:
    with endpoint(lambda _: answer, calls_tools=False) as stub:
        result = run(stub, key=key)
    assert result.exit_code == 1
    assert [word for word in words if word not in result.output] == []
    assert KEY not in result.output
    assert len(stub.bodies) == 1


def test_a_key_that_no_header_can_hold_is_refused_without_being_shown() -> None:
    with endpoint(good) as stub:
        result = run(stub, key=f"{KEY}\u2026")
    assert result.exit_code == 1
    assert "the key in OPENAI_API_KEY" in result.output
    assert KEY not in result.output
    assert stub.bodies == []


def test_tokens_that_are_counted_in_text_are_numbers() -> None:
    def model(shown: Shown) -> Response:
        usage = {"prompt_tokens": "7", "completion_tokens": "2"}
        return JSONResponse({"choices": [{"message": good(shown)}], "usage": usage})

    (row,) = play(model, "parallel")
    assert (row.prompt_tokens, row.completion_tokens) == (7 * row.rounds, 2 * row.rounds)


def test_an_endpoint_that_is_not_there_is_named() -> None:
    with endpoint(good) as stub:
        pass
    result = run(stub)
    assert result.exit_code == 1
    assert f"no answer from {stub.url} (nothing listens there)" in result.output


def test_without_an_endpoint_the_command_says_how_to_name_one() -> None:
    result = CliRunner().invoke(main, ["--model", "script"], env={"OPENAI_BASE_URL": None})
    assert result.exit_code == 2
    assert "--base-url or OPENAI_BASE_URL" in result.output


def test_an_overloaded_endpoint_is_asked_again_when_it_says() -> None:
    busy = [JSONResponse({}, 429, {"Retry-After": "0.01"}), JSONResponse({}, 503, {"Retry-After": "0.01"})]
    (row,) = play(lambda shown: busy.pop() if busy else good(shown), "parallel")
    assert (row.is_success, row.paused_s) == (True, 0.02)


def test_an_endpoint_that_fails_again_and_again_ends_the_run() -> None:
    with endpoint(lambda _: refusal(400, "context too long")) as stub:
        result = run(stub, "--quick", "--arms", "parallel")
    assert result.exit_code == 1
    assert "image_with_caption parallel: " in result.output
    assert "context too long" in result.output
    assert "3 times in a row" in result.output
