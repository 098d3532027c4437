"""The toy, which also says who it is: what its environment says, and the number of its process.

Who cannot call it any more can still steer it: `hold_until` waits for a file.
"""

from __future__ import annotations

import importlib.util
import os
import time
from pathlib import Path
from typing import Any

_SPEC = importlib.util.spec_from_file_location("toy", Path(__file__).parents[2] / "toy.py")
assert _SPEC is not None
assert _SPEC.loader is not None
toy: Any = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(toy)


class Named(toy.Toy):
    def do_who(self, **_: Any) -> Any:
        return f"{os.environ.get('WHO', 'nobody')} {os.getpid()}"

    def do_hold_until(self, path: str, **_: Any) -> Any:
        Path(f"{path}.begun").touch()
        while not Path(path).exists():
            time.sleep(0.01)
        return f"held by {os.environ.get('WHO', 'nobody')}"

    def do_journal(self, path: str, line: str, **_: Any) -> Any:
        with Path(path).open("a") as journal:
            journal.write(f"{line}\n")
        return f"wrote {line}"


if __name__ == "__main__":
    toy.TOOLS += [
        toy.tool("who", {"readOnlyHint": True}),
        toy.tool("hold_until", path=toy.STRING),
        toy.tool("journal", path=toy.STRING, line=toy.STRING),
    ]
    toy.TOY = Named()
    toy.main()
