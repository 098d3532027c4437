"""The servers of the live suite: `server.py NAME FOLDER`, with nothing but the standard library.

`library` only reads, `files` keeps a folder, `lab` measures and files reports. What they know and how long they take
stands in the folder's world.json. A call takes effect when its time is over, so that calls which overlap wrongly go
wrong, and is then written into journal.jsonl. How long it takes is log-normal and depends on the seed, the tool, the
arguments and how often they came before, so every arm waits for the same call equally long.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import re
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

Json = dict[str, Any]
SIGMA = 0.5
_FILE_NAME = re.compile(r"[\w][\w.-]{0,60}")


class Refused(Exception):
    """A tool cannot do what was asked; its text is the answer."""


class Place:
    """What the servers of one conversation know and change."""

    def __init__(self, server: str, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.world: Json = json.loads((folder / "world.json").read_text(encoding="utf-8"))
        self._came: Counter[str] = Counter()

    def seconds(self, tool: str, arguments: Json) -> float:
        """How long this call takes."""
        mean_s: float = self.world["seconds"][tool] * self.world["scale"]
        key = f"{self.world['seed']}|{tool}|{json.dumps(arguments, sort_keys=True)}"
        self._came[key] += 1
        if mean_s == 0:
            return 0.0
        chance = random.Random(f"{key}|{self._came[key]}")
        return chance.lognormvariate(math.log(mean_s) - SIGMA**2 / 2, SIGMA)

    def note(self, tool: str, arguments: Json, *, is_error: bool) -> None:
        """Write down that a call has taken effect, or failed."""
        line: Json = {"server": self.server, "tool": tool, "arguments": arguments, "is_error": is_error}
        with (self.folder / "journal.jsonl").open("a", encoding="utf-8") as journal:
            journal.write(json.dumps(line) + "\n")

    def file(self, name: str) -> Path:
        if not _FILE_NAME.fullmatch(name):
            raise Refused(f"{name!r} is no file name; use letters, digits, '.', '_' and '-'")
        return self.folder / "files" / name

    def known(self, what: str, name: str) -> Any:
        found: Json = self.world[what]
        if name not in found:
            raise Refused(f"there is no {name!r} among the {what}; there are: {', '.join(sorted(found))}")
        return found[name]


def said(text: str) -> Json:
    return {"content": [{"type": "text", "text": text}]}


def value(structured: Json) -> Json:
    return {**said(json.dumps(structured)), "structuredContent": structured}


def search(place: Place, query: str) -> Json:
    words = set(re.findall(r"\w+", query.lower()))
    pages: dict[str, Json] = place.world["pages"]
    scores = {page: len(words & set(re.findall(r"\w+", about["title"].lower()))) for page, about in pages.items()}
    found = sorted((page for page in pages if scores[page]), key=lambda page: -scores[page])
    return value({"hits": [{"id": page, "title": pages[page]["title"]} for page in found[:3]]})


def read_page(place: Place, page: str) -> Json:
    return value({"id": page, **place.known("pages", page)})


def draw_chart(place: Place, series: str) -> Json:
    chart: Json = place.known("charts", series)
    image = {"type": "image", "data": chart["png"], "mimeType": "image/png"}
    return {"content": [{"type": "text", "text": chart["caption"]}, image]}


def list_files(place: Place) -> Json:
    return value({"files": sorted(file.name for file in (place.folder / "files").iterdir())})


def read_file(place: Place, path: str) -> Json:
    file = place.file(path)
    if not file.exists():
        raise Refused(f"there is no file {path!r}")
    return said(file.read_text(encoding="utf-8"))


def write_file(place: Place, path: str, text: str) -> Json:
    place.file(path).write_text(text, encoding="utf-8")
    return said(f"Wrote {len(text)} characters to {path}.")


def measure(place: Place, sensor: str) -> Json:
    reading: Any = place.known("sensors", sensor)
    if isinstance(reading, str):
        raise Refused(reading)
    return value({"sensor": sensor, "reading": reading})


def calibrate(place: Place, sensor: str, reading: float) -> Json:
    place.known("sensors", sensor)
    return said(f"{sensor} is calibrated to {reading:g}.")


def run_simulation(place: Place, name: str) -> Json:
    return value({"simulation": name, "score": place.known("simulations", name)})


def submit_report(place: Place, title: str, body: str) -> Json:
    return value({"title": title, "characters": len(body), "receipt": place.world["receipt"]})


STRING, NUMBER = {"type": "string"}, {"type": "number"}
READS = {"readOnlyHint": True, "openWorldHint": False}
WRITES = {"readOnlyHint": False, "destructiveHint": False, "openWorldHint": False}
Tool = tuple[Callable[..., Json], str, Json, Json]
TOOLS: dict[str, tuple[Tool, ...]] = {
    "library": (
        (search, "Finds pages by words of their titles; gives their ids, best first.", READS, {"query": STRING}),
        (read_page, "Gives a page by its id: title, text and the next page, if any.", READS, {"page": STRING}),
        (draw_chart, "Draws a chart of a series; gives its caption and the image.", READS, {"series": STRING}),
    ),
    "files": (
        (list_files, "Lists the files of the folder.", READS, {}),
        (read_file, "Gives the whole text of a file.", READS, {"path": STRING}),
        (write_file, "Writes a whole file, in place of what it held.", WRITES, {"path": STRING, "text": STRING}),
    ),
    "lab": (
        (measure, "Reads a sensor.", READS, {"sensor": STRING}),
        (calibrate, "Calibrates a sensor to a reading.", WRITES, {"sensor": STRING, "reading": NUMBER}),
        (run_simulation, "Runs a simulation, which takes long; gives its score.", READS, {"name": STRING}),
        (submit_report, "Submits a report; gives a receipt.", WRITES, {"title": STRING, "body": STRING}),
    ),
}


def listed(server: str) -> list[Json]:
    return [
        {
            "name": work.__name__,
            "description": about,
            "annotations": hints,
            "inputSchema": {"type": "object", "properties": properties, "required": list(properties)},
        }
        for work, about, hints, properties in TOOLS[server]
    ]


def check(tool: str, properties: Json, arguments: Json) -> None:
    for argument, schema in properties.items():
        if not isinstance(arguments.get(argument), str if schema is STRING else (int, float)):
            raise Refused(f"{tool} needs {argument}, a {schema['type']}")


def called(place: Place, name: str, arguments: Json) -> Json:
    """Do the work of a call whose time is over."""
    works = {work.__name__: (work, properties) for work, _, _, properties in TOOLS[place.server]}
    try:
        work, properties = works[name]
        check(name, properties, arguments)
        result = work(place, **{argument: arguments[argument] for argument in properties})
    except Refused as refusal:
        result = {**said(str(refusal)), "isError": True}
    place.note(name, arguments, is_error="isError" in result)
    return result


class Connection:
    """Answers one client on stdout."""

    def __init__(self, place: Place, loop: asyncio.AbstractEventLoop) -> None:
        self._place = place
        self._loop = loop
        self._running: dict[Any, asyncio.TimerHandle] = {}

    def take(self, message: Json) -> None:
        params: Json = message.get("params") or {}
        match message.get("method"):
            case "initialize":
                about = {"name": self._place.server, "version": "1"}
                result: Json = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": about}
                self._send(message, result=result)
            case "tools/list":
                self._send(message, result={"tools": listed(self._place.server)})
            case "tools/call":
                self._start(message, params["name"], params.get("arguments") or {})
            case "notifications/cancelled":
                timer = self._running.pop(params.get("requestId"), None)
                if timer is not None:
                    timer.cancel()
            case "ping":
                self._send(message, result={})
            case _ if "id" in message and "method" in message:
                self._send(message, error={"code": -32601, "message": "Method not found"})
            case _:
                pass

    def _start(self, request: Json, name: str, arguments: Json) -> None:
        if name not in {work.__name__ for work, *_ in TOOLS[self._place.server]}:
            self._send(request, error={"code": -32602, "message": f"Unknown tool: {name}"})
            return
        seconds = self._place.seconds(name, arguments)
        self._running[request["id"]] = self._loop.call_later(seconds, self._finish, request, name, arguments)

    def _finish(self, request: Json, name: str, arguments: Json) -> None:
        del self._running[request["id"]]
        self._send(request, result=called(self._place, name, arguments))

    def _send(self, request: Json, **answer: Any) -> None:
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": request["id"], **answer}) + "\n")
        sys.stdout.flush()


async def main() -> None:
    _, name, folder = sys.argv
    loop = asyncio.get_running_loop()
    connection = Connection(Place(name, Path(folder)), loop)
    lines = asyncio.StreamReader(limit=2**24)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    async for line in lines:
        connection.take(json.loads(line))


if __name__ == "__main__":
    asyncio.run(main())
