"""The suite: what the user asks, what the servers know, and what must be true in the end.

All facts are codes or numbers made by chance from the seed, so nothing in an answer can be right by luck or memory.
"""

from __future__ import annotations

import base64
import itertools
import random
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.live.ledger import Facts
from benchmarks.live.tasks import Task

Json = dict[str, Any]
CODE = r"\b[A-Z]{2}-[0-9A-Z]{6}\b"
PAGE = r"\b[a-z]{2}-(?=[a-z]*\d)[0-9a-z]{6}\b"
NUMBER = r"(?<![\w.-])\d{5}(?![\w-]|\.\d)"
FORMS = (CODE, PAGE, NUMBER)
FACTS = Facts(FORMS)


class Chance:
    """Facts that nobody can guess, the same for the same seed."""

    def __init__(self, seed: int, name: str) -> None:
        self._random = random.Random(f"{seed}/{name}")

    def code(self) -> str:
        letters, digits = "ABCDEFGHKLMNPQRTUVWXYZ", "23456789"
        marks = [*self._random.choices(letters, k=2), "-", self._random.choice(digits)]
        return "".join(marks + self._random.choices(letters + digits, k=5))

    def number(self) -> int:
        return self._random.randrange(11_000, 15_000)

    def png(self) -> str:
        """A small image of noise, in Base64."""
        side = 16
        rows = b"".join(b"\0" + self._random.randbytes(side) for _ in range(side))
        header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
        chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
        body = b"".join(
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
            for kind, data in chunks
        )
        return base64.b64encode(b"\x89PNG\r\n\x1a\n" + body).decode()


def _page(title: str, text: str, **more: str) -> Json:
    return {"title": title, "text": text, **more}


def _sums(numbers: Sequence[int]) -> dict[str, frozenset[str]]:
    """All sums of two or more of them: a model that adds them up may say any on its way."""
    parts = (part for size in range(2, len(numbers) + 1) for part in itertools.combinations(numbers, size))
    return {str(sum(part)): frozenset(map(str, part)) for part in parts}


def search_and_join(chance: Chance) -> Task:
    """Independent searches, a page for each, then a join."""
    people = ("Ana Brenner", "Tomas Okafor", "Mina Haldane", "Jules Vantour")
    codes = {person: chance.code() for person in people}
    pages = {chance.code().lower(): _page(person, f"Badge code: {codes[person]}") for person in people}
    return Task(
        "search_and_join",
        ("library",),
        (f"Find the badge codes of {', '.join(people)} in the library. Answer with each name and its code.",),
        (tuple(codes.values()),),
        world={"pages": pages},
        facts=FACTS,
    )


def sum_of_reads(chance: Chance) -> Task:
    """Independent reads, then a sum that only somebody who has seen all can know."""
    budgets = {name: chance.number() for name in ("north", "south", "east", "west", "centre")}
    pages = {f"budget-{name}": _page(f"Budget {name}", f"Budget: {budget}") for name, budget in budgets.items()}
    derived = _sums(list(budgets.values()))
    return Task(
        "sum_of_reads",
        ("library",),
        (f"Read the library pages {', '.join(pages)} and tell me the sum of the five budgets.",),
        ((str(sum(budgets.values())),),),
        facts=Facts(FORMS, derived),
        world={"pages": pages},
    )


def chain_of_pages(chance: Chance) -> Task:
    """Each page names the next: nothing can be called early but with the value of the call before."""
    ids = ["start", *(chance.code().lower() for _ in range(3))]
    seal = chance.code()
    pages = {page: _page("A link", "Go on.", next=after) for page, after in itertools.pairwise(ids)}
    pages[ids[-1]] = _page("The end", f"The seal is {seal}.")
    return Task(
        "chain_of_pages",
        ("library",),
        ('Start at the library page "start" and follow `next` until there is none. Which seal is on the last page?',),
        ((seal,),),
        world={"pages": pages},
        facts=FACTS,
    )


def copy_and_submit(chance: Chance) -> Task:
    """A value that has to be carried, not read: byte for byte."""
    text = "\n".join(f"{number}.  {chance.code()}\t{chance.number()}" for number in range(1, 31))
    receipt = chance.code()
    ask = (
        "Copy the file log.txt to backup.txt exactly, submit the text of log.txt as a report titled Log, and "
        "tell me the receipt."
    )
    return Task(
        "copy_and_submit",
        ("files", "lab"),
        (ask,),
        ((receipt,),),
        world={"receipt": receipt},
        files={"log.txt": text},
        files_after={"log.txt": text, "backup.txt": text},
        effects={"submit_report": 1},
        facts=FACTS,
    )


def read_modify_write(chance: Chance) -> Task:
    """Numbers in files that have to be read before they can be written."""
    apples, pears = chance.number(), chance.number()
    more, less = apples + 417, pears - 333
    derived = {str(more): frozenset({str(apples)}), str(less): frozenset({str(pears)})}
    ask = (
        "The files apples.txt and pears.txt hold one number each. Add 417 to the apples and take 333 from the "
        "pears, each in its file, and tell me both new numbers."
    )
    return Task(
        "read_modify_write",
        ("files",),
        (ask,),
        ((str(more), str(less)),),
        facts=Facts(FORMS, derived),
        files={"apples.txt": str(apples), "pears.txt": str(pears)},
        files_after={"apples.txt": str(more), "pears.txt": str(less)},
    )


def last_write_wins(chance: Chance) -> Task:
    """Two writes of one file and a read, whose order matters."""
    first, last = chance.code(), chance.code()
    ask = (
        f"Write {first} to state.txt, then write {last} over it, then list the files, read state.txt and tell me "
        "what it holds now. Do all four steps."
    )
    return Task(
        "last_write_wins",
        ("files",),
        (ask,),
        ((last,),),
        files={"notes.txt": "Nothing."},
        files_after={"notes.txt": "Nothing.", "state.txt": last},
        effects={"write_file": 2},
        facts=FACTS,
    )


def long_job_and_talk(chance: Chance) -> Task:
    """A job that takes long, while the user has other wishes."""
    score, code = chance.number(), chance.code()
    return Task(
        "long_job_and_talk",
        ("lab", "library"),
        (
            "Start the simulation tide. It takes long; I need its score later.",
            "How many days does a week have?",
            "Read the library page visitor-code: which code does it name?",
            "What score did the simulation give?",
        ),
        ((), ("7",), (code,), (str(score),)),
        world={"simulations": {"tide": score}, "pages": {"visitor-code": _page("Visitors", f"The code is {code}.")}},
        effects={"run_simulation": 1},
        facts=FACTS,
    )


def failing_tool(chance: Chance) -> Task:
    """A tool that fails and says what to do instead."""
    value = chance.number()
    return Task(
        "failing_tool",
        ("lab",),
        ("What does the sensor k3 read? If it is out of order, use the sensor that it names instead.",),
        ((str(value),),),
        world={"sensors": {"k3": "sensor k3 is out of order; use sensor k7", "k7": value}},
        facts=FACTS,
    )


def poisoned_chain(chance: Chance) -> Task:
    """The first step of a chain fails, so the others must not happen, and the user must hear why."""
    fault = chance.code()
    ask = (
        "Measure the sensor k5, calibrate k5 to that reading, then submit a report titled k5 with the reading. If "
        "a step fails, do none of those after it and tell me the fault code."
    )
    return Task(
        "poisoned_chain",
        ("lab",),
        (ask,),
        ((fault,),),
        world={"sensors": {"k5": f"sensor k5 failed with fault code {fault}"}},
        effects={"calibrate": 0, "submit_report": 0},
        facts=FACTS,
    )


def image_with_caption(chance: Chance) -> Task:
    """A tool that gives an image beside its text."""
    caption, image = chance.code(), chance.png()
    return Task(
        "image_with_caption",
        ("library", "files"),
        ("Draw the chart of the series rainfall, write only its figure code to figure.txt and tell me the code.",),
        ((caption,),),
        world={"charts": {"rainfall": {"caption": f"Figure code: {caption}", "png": image}}},
        files_after={"figure.txt": caption},
        images=frozenset({image}),
        facts=FACTS,
    )


def many_turns(chance: Chance) -> Task:
    """A conversation in which later wishes need what earlier ones gave."""
    rooms = {name: chance.code() for name in ("atrium", "cellar", "loft")}
    pages = {f"room-{name}": _page(f"Room {name}", f"Door code: {code}") for name, code in rooms.items()}
    lines = "\n".join(rooms.values())
    return Task(
        "many_turns",
        ("library", "files"),
        (
            "Read the library page room-atrium. What is the door code?",
            "And the one of room-cellar?",
            "Write the code of the atrium to doors.txt.",
            "Now the code of room-loft, please.",
            "Write all three codes to doors.txt, one a line: atrium, cellar, loft.",
            "Read doors.txt and tell me what it says.",
        ),
        ((rooms["atrium"],), (rooms["cellar"],), (), (rooms["loft"],), (), tuple(rooms.values())),
        world={"pages": pages},
        files_after={"doors.txt": lines},
        effects={"write_file": 2},
        facts=FACTS,
    )


def job_beside_searches(chance: Chance) -> Task:
    """A slow job and quick searches, joined in a file."""
    score = chance.number()
    codes = {name: chance.code() for name in ("harbour", "quarry", "orchard")}
    pages = {chance.code().lower(): _page(f"Site {name}", f"Site code: {code}") for name, code in codes.items()}
    lines = "\n".join([str(score), *codes.values()])
    ask = (
        "Run the simulation delta, and find the site codes of the sites harbour, quarry and orchard in the "
        "library. Then write summary.txt with four lines: the score, then the three codes in that order. "
        "Tell me the score."
    )
    return Task(
        "job_beside_searches",
        ("lab", "library", "files"),
        (ask,),
        ((str(score),),),
        world={"simulations": {"delta": score}, "pages": pages},
        files_after={"summary.txt": lines},
        effects={"run_simulation": 1, "write_file": 1},
        facts=FACTS,
    )


TASKS: Mapping[str, Callable[[Chance], Task]] = {
    make.__name__: make
    for make in (
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
QUICK = ("sum_of_reads", "failing_tool", "image_with_caption")


def task(name: str, seed: int) -> Task:
    """One task of the suite with its facts."""
    return TASKS[name](Chance(seed, name))
