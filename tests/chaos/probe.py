"""A gateway as its command line starts it, which on SIGUSR2 also writes down what it holds."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

from asyncfc_mcp.cli.main import main

FILE_VARIABLE = "ASYNCFC_CHAOS_PROBE"
MOST_TYPES = 25


def _write_down(number: int, frame: FrameType | None) -> None:
    gc.collect()
    tasks = [task for task in asyncio.all_tasks() if not task.done()]
    held: list[Any] = gc.get_objects()
    kinds = Counter(f"{type(one).__module__}.{type(one).__qualname__}" for one in held)
    findings = {
        "tasks": len(tasks),
        "task_names": Counter(getattr(task.get_coro(), "__qualname__", "?") for task in tasks),
        "objects": {name: count for name, count in kinds.most_common() if name.startswith("asyncfc_mcp")},
        "most_objects": dict(kinds.most_common(MOST_TYPES)),
    }
    file = Path(os.environ[FILE_VARIABLE])
    unfinished = file.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(findings))
    unfinished.rename(file)


if __name__ == "__main__":
    signal.signal(signal.SIGUSR2, _write_down)
    main()
