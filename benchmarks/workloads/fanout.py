"""Question answering by fan-out: independent searches of a corpus, then a join, and the answer kept in a note."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from benchmarks.workloads.corpus import ARTICLES, MOUNTAINS, RIVERS, Article
from benchmarks.workloads.draft import Chosen, Draft, Verbatim
from benchmarks.workloads.program import Program, Use
from benchmarks.workloads.schemas import INTEGER, STRING, takes
from benchmarks.workloads.world import Answer, JsonObject, Tool

PROGRAMS = 40
TOOLS = {
    "wiki": (
        Tool("search", "Finds the article that fits a query best.", takes(query=STRING), reads=("wiki",)),
        Tool("related", "Lists the titles of articles that lead to a title.", takes(title=STRING), reads=("wiki",)),
    ),
    "desk": (
        Tool("compare", "Compares two figures.", takes(left=INTEGER, right=INTEGER)),
        Tool("write_note", "Keeps a note under a title.", takes(title=STRING, body=STRING), writes=("notes/{title}",)),
        Tool("list_notes", "Gives all notes.", takes(), reads=("notes",)),
    ),
}


class Library:
    """The corpus and the notes."""

    def __init__(self) -> None:
        self._notes: dict[str, str] = {}

    def call(self, server: str, tool: str, arguments: JsonObject) -> Answer:
        """Answer one call."""
        match server, tool:
            case "wiki", "search":
                return Answer(json.dumps(_found(arguments["query"])))
            case "wiki", "related":
                titles = [article.title for article in ARTICLES if article.leads_to == arguments["title"]]
                return Answer(json.dumps({"titles": titles}))
            case "desk", "compare":
                left, right = arguments["left"], arguments["right"]
                return Answer(json.dumps({"larger": max(left, right), "difference": abs(left - right)}))
            case "desk", "write_note":
                self._notes[arguments["title"]] = arguments["body"]
                return Answer(f"Kept {arguments['title']!r}.")
            case "desk", "list_notes":
                return Answer(json.dumps(self._notes, sort_keys=True))
            case _:
                return Answer(f"{server} has no tool {tool}", is_error=True)

    def state(self) -> Any:
        """The notes."""
        return dict(self._notes)


def _found(query: str) -> dict[str, Any]:
    asked = set(query.lower().split())
    best = max(ARTICLES, key=lambda article: len(asked & set(article.text.lower().replace(".", "").split())))
    best = next((article for article in ARTICLES if article.title.lower() in query.lower()), best)
    return {**asdict(best), "text": best.text}


def programs() -> tuple[Program, ...]:
    """All programs of the workload."""
    return tuple(_program(number) for number in range(PROGRAMS))


def _program(number: int) -> Program:
    chance = random.Random(number)
    draft = Draft("fanout", f"fanout_{number}", TOOLS, Library)
    joins = (_largest_by_token, _largest_by_eye, _bridges)
    kinds = (RIVERS, MOUNTAINS)
    joins[number % 3](draft, chance.sample(kinds[number % 2], 2 + number % 5), "first")
    if number % 2:
        joins[(number // 2) % 3](draft, chance.sample(kinds[1 - number % 2], 2 + chance.randrange(3)), "second")
        draft.call("desk", "list_notes", {})
        draft.end_turn("Both answers are in your notes, as listed.")
    return draft.finish()


def _searches(draft: Draft, articles: Sequence[Article]) -> list[int]:
    return [draft.call("wiki", "search", {"query": f"{article.title} {article.measure}"}) for article in articles]


def _largest_by_token(draft: Draft, articles: Sequence[Article], title: str) -> None:
    """Compares figure after figure without looking at one, then notes the largest."""
    first, *rest = _searches(draft, articles)
    largest = Verbatim(first, "/figure")
    for search in rest:
        step = draft.call("desk", "compare", {"left": largest, "right": Verbatim(search, "/figure")})
        largest = Verbatim(step, "/larger")
    figure = draft.value(largest.producer, largest.path)
    body = Chosen(f"At most {figure}", largest.producer, largest.path)
    draft.call("desk", "write_note", {"title": title, "body": body})
    draft.end_turn(f"The largest of the {len(articles)} has a {articles[0].measure} of {figure}.")


def _largest_by_eye(draft: Draft, articles: Sequence[Article], title: str) -> None:
    """Reads all that was found, and goes on with the largest alone."""
    searches = _searches(draft, articles)
    best = max(searches, key=lambda search: draft.value(search, "/figure"))
    seen = [Use(search, "/figure", ("query",), is_verbatim=False) for search in searches if search != best]
    query = Chosen(f"{draft.value(best, '/leads_to')} in figures", best, "/leads_to")
    bridge = draft.call("wiki", "search", {"query": query}, seen)
    draft.call("desk", "write_note", {"title": title, "body": Verbatim(bridge, "/text")})
    draft.end_turn(f"It is {draft.value(best, '/title')}, which leads to this: {draft.value(bridge, '/text')}")


def _bridges(draft: Draft, articles: Sequence[Article], title: str) -> None:
    """Follows each search to where it leads, by token, and sums up what stands there."""
    searches = _searches(draft, articles)
    bridges = [draft.call("wiki", "search", {"query": Verbatim(search, "/leads_to")}) for search in searches]
    draft.call("wiki", "related", {"title": Verbatim(bridges[0], "/title")})
    deepest = max(bridges, key=lambda bridge: draft.value(bridge, "/figure"))
    seen = [Use(bridge, "/figure", ("body",), is_verbatim=False) for bridge in bridges if bridge != deepest]
    body = Chosen(f"{draft.value(deepest, '/title')} has the largest figure", deepest, "/title")
    draft.call("desk", "write_note", {"title": title, "body": body}, seen)
    draft.end_turn(f"Of all that they lead to, {draft.value(deepest, '/title')} comes first.")
