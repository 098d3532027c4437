"""A coding trace: find out why tests fail, mend it by the manual, write down what was done; mostly reads."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from benchmarks.workloads.draft import Chosen, Draft, Verbatim
from benchmarks.workloads.program import Program, Use
from benchmarks.workloads.repository import TOOLS, Repository

PROGRAMS = 40
MODULES = {
    "prices": ("BASE = 100", "VAT = 19", "TOTAL = BASE + VAT"),
    "shipping": ("PARCEL = 7", "PALLET = 90", "EXPRESS = PARCEL * 3 + prices.VAT"),
    "discounts": ("STUDENT = 15", "SENIOR = 10", "BEST = STUDENT + SENIOR - 5"),
    "stock": ("SHELVES = 12", "BINS = 8", "PLACES = SHELVES * BINS"),
    "staff": ("PICKERS = 6", "DRIVERS = 4", "SHIFTS = PICKERS * 2 + DRIVERS"),
    "budget": ("RENT = 2400", "POWER = 310", "MONTHLY = RENT + POWER + staff.SHIFTS"),
}
TESTS = {
    "prices": ("prices.TOTAL == 119", "prices.VAT == 19"),
    "shipping": ("shipping.EXPRESS == 40", "shipping.PALLET == 90"),
    "discounts": ("discounts.BEST == 20", "discounts.STUDENT == 15"),
    "stock": ("stock.PLACES == 96", "stock.BINS == 8"),
    "staff": ("staff.SHIFTS == 16", "staff.PICKERS == 6"),
    "budget": ("budget.MONTHLY == 2726", "budget.POWER == 310"),
}
WRONG = {
    "prices": ("VAT = 19", "VAT = 16"),
    "shipping": ("PALLET = 90", "PALLET = 60"),
    "discounts": ("STUDENT = 15", "STUDENT = 51"),
    "stock": ("BINS = 8", "BINS = 9"),
    "staff": ("PICKERS = 6", "PICKERS = 7"),
    "budget": ("POWER = 310", "POWER = 301"),
}
"""For each module the line as it should be, and as it is where the module is broken."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A broken module, and which calls have shown what is wrong."""

    module: str
    reading: int
    """The call that read the module."""

    @property
    def path(self) -> str:
        """Its file."""
        return f"src/{self.module}.py"


def programs() -> tuple[Program, ...]:
    """All programs of the workload."""
    return tuple(_program(number) for number in range(PROGRAMS))


def _program(number: int) -> Program:
    chance = random.Random(number)
    broken = chance.sample(sorted(MODULES), 1 + number % 3)
    draft = Draft("coding", f"coding_{number}", TOOLS, partial(Repository, _files(broken), _manual()))
    findings = _investigate(draft, broken, first_reads=number % 4, chance=chance)
    _mend(draft, findings, by_token=number % 2 == 0)
    if number % 4:
        _write_down(draft, findings)
    if number % 5 == 0:
        _review(draft, chance.sample(sorted(MODULES), 4))
    return draft.finish()


def _files(broken: Sequence[str]) -> dict[str, str]:
    modules = {f"src/{name}.py": _text(lines) for name, lines in MODULES.items()}
    for name in broken:
        modules[f"src/{name}.py"] = modules[f"src/{name}.py"].replace(*WRONG[name])
    tests = {f"tests/{name}.py": _text([f"assert {line}" for line in lines]) for name, lines in TESTS.items()}
    return {**modules, **tests, "notes/CHANGES.md": "# Changes\n"}


def _text(lines: Sequence[str]) -> str:
    return "\n".join(lines) + "\n"


def _manual() -> dict[str, str]:
    return {right.partition(" = ")[0]: right for right, _ in WRONG.values()}


def _investigate(draft: Draft, broken: Sequence[str], first_reads: int, chance: random.Random) -> list[Finding]:
    """Looks round, runs the tests, and reads what they name."""
    for module in chance.sample(sorted(MODULES), first_reads):
        draft.call("repository", "read_file", {"path": f"src/{module}.py"})
    for folder in ("src", "tests"):
        draft.call("repository", "list_directory", {"path": folder})
    run = draft.call("repository", "run_tests", {"path": "tests"})
    findings: list[Finding] = []
    for module in broken:
        reading = draft.call("repository", "read_file", {"path": Chosen(f"src/{module}.py", run, "/failed")})
        draft.call("repository", "read_file", {"path": Chosen(f"tests/{module}.py", run, "/failed")})
        findings.append(Finding(module, reading))
    for module in chance.sample(broken, 1):
        name = WRONG[module][0].partition(" = ")[0]
        draft.call("repository", "grep", {"path": "src", "text": Chosen(name, run, "/failed")})
    draft.end_turn(f"The tests of {', '.join(broken)} fail because of a wrong number in each. Shall I correct them?")
    return findings


def _mend(draft: Draft, findings: Sequence[Finding], *, by_token: bool) -> None:
    """Corrects each module by what the manual says, and tests again."""
    for finding in findings:
        right, wrong = WRONG[finding.module]
        name = right.partition(" = ")[0]
        line = draft.call("manual", "look_up", {"name": Chosen(name, finding.reading)})
        new = Verbatim(line, "/line") if by_token else Chosen(f"{right}", line, "/line")
        old = Chosen(wrong, finding.reading)
        draft.call("repository", "edit_file", {"path": finding.path, "old": old, "new": new})
        draft.call("repository", "read_file", {"path": finding.path})
    draft.call("repository", "run_tests", {"path": "tests"})
    draft.end_turn("All tests pass now; each number is what the manual says.")


def _write_down(draft: Draft, findings: Sequence[Finding]) -> None:
    """Keeps a copy of each mended file, and adds to the list of changes."""
    changes = draft.call("repository", "read_file", {"path": "notes/CHANGES.md"})
    for finding in findings:
        reading = draft.call("repository", "read_file", {"path": finding.path})
        copy = {"path": f"notes/{finding.module}.txt", "content": Verbatim(reading)}
        draft.call("repository", "write_file", copy)
    lines = "".join(f"- {finding.module}: {WRONG[finding.module][0]}\n" for finding in findings)
    text = f"{draft.answer(changes).text}{lines}"
    draft.call("repository", "write_file", {"path": "notes/CHANGES.md", "content": Chosen(text, changes)})
    draft.call("repository", "list_directory", {"path": "notes"})
    draft.end_turn("The changes are written down in notes/CHANGES.md, with a copy of each file beside it.")


def _review(draft: Draft, modules: Sequence[str]) -> None:
    """Reads several modules, looks for who uses them, and puts a line on top of the last one."""
    readings = [draft.call("repository", "read_file", {"path": f"src/{module}.py"}) for module in modules]
    for module in modules[:2]:
        draft.call("repository", "grep", {"path": "src", "text": f"{module}."})
    last = f"src/{modules[-1]}.py"
    seen = [Use(reading, "", ("content",), is_verbatim=False) for reading in readings[:-1]]
    content = Chosen(f"CHECKED = 1\n{draft.answer(readings[-1]).text}", readings[-1])
    draft.call("repository", "write_file", {"path": last, "content": content}, seen)
    draft.call("repository", "run_tests", {"path": "tests"})
    draft.end_turn(f"I have read {', '.join(modules)}, marked the last one as checked, and the tests still pass.")
