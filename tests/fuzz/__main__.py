"""Tries the properties of this folder for as long as asked: `python -m tests.fuzz [--seconds N] [WORDS]`.

Where it is installed, atheris drives those that need nothing but memory and looks for inputs that reach new code; the
rest of the time is Hypothesis' alone, for all of them. What either finds is kept in `.hypothesis`, so that the next run
of the tests begins with it.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import pkgutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
CORPORA = Path(".hypothesis", "corpora")
"""Inputs that reached something new, a folder for each property; they make the next run start where this one ended."""
USUAL_S = 20
"""What the small budget of every run of the tests takes, to guess how often it fits into the time."""


def properties(of: str = "") -> Iterator[tuple[str, Any]]:
    """The properties that are plain functions, of one module or of all: `module.name`, and the property."""
    for module in pkgutil.iter_modules([str(FOLDER)]):
        if module.name.startswith(f"test_{of}"):
            found = vars(importlib.import_module(f"tests.fuzz.{module.name}"))
            for name, test in found.items():
                inner = getattr(getattr(test, "hypothesis", None), "inner_test", None)
                if inner is not None and not inner.__code__.co_flags & 0x80:  # coroutines need a test runner
                    yield f"{module.name.removeprefix('test_')}.{name.removeprefix('test_')}", test


def drive(name: str, seconds: int) -> None:
    """Try one property with atheris; this process ends with it."""
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["asyncfc_mcp"]):
        test = dict(properties(name.partition(".")[0]))[name]
    corpus = CORPORA / name
    corpus.mkdir(parents=True, exist_ok=True)
    options = [f"-max_total_time={seconds}", "-max_len=4096", "-print_final_stats=1", f"-artifact_prefix={corpus}-"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], test.hypothesis.fuzz_one_input)
    atheris.Fuzz()


def say(text: str) -> None:
    sys.stdout.write(f"== {text}\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=300, help="in all; 300 unless told")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    parser.add_argument("words", nargs="*", help="only properties whose name holds one of these")
    asked = parser.parse_args()
    if asked.only:
        drive(asked.only, asked.seconds)
        return 0
    names = [name for name, _ in properties() if not asked.words or any(word in name for word in asked.words)]
    has_atheris = importlib.util.find_spec("atheris") is not None
    failed: list[str] = []
    start = time.monotonic()
    if has_atheris and names:
        each_s = max(1, asked.seconds * 2 // 3 // len(names))
        for name in names:
            say(f"atheris, {each_s} s: {name}")
            command = [sys.executable, "-m", "tests.fuzz", "--seconds", str(each_s), "--only", name]
            if subprocess.run(command, check=False).returncode:
                failed.append(name)
    left_s = asked.seconds - (time.monotonic() - start)
    effort = max(1, int(left_s / USUAL_S))
    say(f"Hypothesis, {effort} times the usual budget")
    chosen = ["-k", " or ".join(asked.words)] if asked.words else []
    command = [sys.executable, "-m", "pytest", "-q", str(FOLDER), *chosen]
    if subprocess.run(command, check=False, env={**os.environ, "ASYNCFC_FUZZ_EFFORT": str(effort)}).returncode:
        failed.append("see above, with Hypothesis")
    say(f"failed: {', '.join(failed)}" if failed else "nothing found")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
