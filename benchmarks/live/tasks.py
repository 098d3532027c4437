"""What one conversation of the live suite is made of, and how it is judged; the suite itself is `suite`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.live.ledger import Facts, plain_numbers

Json = dict[str, Any]
SECONDS: Mapping[str, float] = {
    "search": 2,
    "read_page": 2,
    "draw_chart": 4,
    "list_files": 0.2,
    "read_file": 0.5,
    "write_file": 1,
    "measure": 3,
    "calibrate": 2,
    "run_simulation": 20,
    "submit_report": 2,
}
"""The mean of each tool."""


@dataclass(frozen=True, slots=True)
class Task:
    """One conversation, and how it is judged."""

    name: str
    servers: tuple[str, ...]
    prompts: tuple[str, ...]
    """What the user says, turn by turn."""
    answers: tuple[tuple[str, ...], ...]
    """What each turn's answer must hold."""
    facts: Facts
    world: Mapping[str, Any] = field(default_factory=dict[str, Any])
    files: Mapping[str, str] = field(default_factory=dict[str, str])
    """At the start."""
    files_after: Mapping[str, str] | None = None
    """All files in the end, but for white space around their text; None: as at the start."""
    effects: Mapping[str, int] = field(default_factory=dict[str, int])
    """How often a tool must have taken effect."""
    images: frozenset[str] = frozenset()
    """What the client must have been given, in Base64."""

    def prepare(self, folder: Path, seed: int, scale: float) -> None:
        """Write what the servers start from."""
        known: Json = {"pages": {}, "charts": {}, "sensors": {}, "simulations": {}, "receipt": "none"}
        world = known | dict(self.world) | {"seconds": SECONDS, "seed": seed, "scale": scale}
        (folder / "world.json").write_text(json.dumps(world), encoding="utf-8")
        (folder / "files").mkdir()
        for name, text in self.files.items():
            (folder / "files" / name).write_text(text, encoding="utf-8")

    def misses(self, folder: Path, answers: Sequence[str], images: frozenset[str]) -> tuple[str, ...]:
        """What is not as it must be, in words without values; nothing when the task was solved."""
        found: list[str] = []
        for turn, wanted in enumerate(self.answers):
            said = plain_numbers(answers[turn]) if turn < len(answers) else ""
            missing = sum(fact.lower() not in said.lower() for fact in wanted)
            if missing:
                found.append(f"answer {turn + 1} lacks {missing} of {len(wanted)} facts")
        wanted_files = self.files if self.files_after is None else self.files_after
        files = {file.name: file.read_text(encoding="utf-8").strip() for file in (folder / "files").iterdir()}
        wrong = sorted(name for name in files.keys() | wanted_files if files.get(name) != _stripped(wanted_files, name))
        found += [f"file {name} is wrong" for name in wrong]
        happened = _effects(folder)
        strange = (tool for tool, wanted in self.effects.items() if happened[tool] != wanted)
        found += [f"{tool} took effect {happened[tool]} times" for tool in strange]
        if not self.images <= images:
            found.append("the image did not arrive")
        return tuple(found)


def _stripped(files: Mapping[str, str], name: str) -> str | None:
    return files[name].strip() if name in files else None


def _effects(folder: Path) -> Counter[str]:
    journal = folder / "journal.jsonl"
    lines = journal.read_text(encoding="utf-8").splitlines() if journal.exists() else []
    entries: list[Json] = [json.loads(line) for line in lines]
    return Counter(entry["tool"] for entry in entries if not entry["is_error"])
