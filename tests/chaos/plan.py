"""What a chaos run is made of, and where its chance comes from."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Plant = Literal["", "memory", "twice", "value", "order"]
"""A fault planted on purpose, to see that the checker finds it."""
Disk = Literal["", "full", "limit"]
"""What becomes of the store's room: enough of it, none at times, or a limit so low that settled futures go early."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is made of."""

    folder: Path
    seed: str
    plant: Plant = ""
    has_real_servers: bool = True
    disk: Disk = ""
    small_disk: Path | None = None
    """Where the store goes instead; a disk of its own, which can be filled to the last byte."""
    settings: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def state_folder(self) -> Path:
        """Where the store is."""
        return self.small_disk / self.folder.name if self.small_disk is not None else self.folder / "state"


def generator(plan: Plan, purpose: str) -> random.Random:
    """Chance for one purpose, the same in every run with this seed."""
    return random.Random(f"{plan.seed}/{purpose}")
