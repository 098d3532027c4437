"""A small repository in memory with tools to read, change and test it, and a manual that knows how things should be.

A module is lines of `NAME = expression` over whole numbers, its own names and names of other modules (`prices.VAT`);
a test file is lines of `assert expression == number`. They are computed, not run.
"""

from __future__ import annotations

import ast
import json
import operator
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.workloads.schemas import STRING, takes
from benchmarks.workloads.world import Answer, JsonObject, Tool

OPERATIONS: Mapping[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
}
TOOLS = {
    "repository": (
        Tool("list_directory", "Lists the files below a folder.", takes(path=STRING), reads=("fs",)),
        Tool("read_file", "Gives the text of a file.", takes(path=STRING), reads=("fs/{path}",)),
        Tool(
            "grep", "Finds the lines below a folder that hold a text.", takes(path=STRING, text=STRING), reads=("fs",)
        ),
        Tool(
            "edit_file",
            "Replaces a text that stands in a file.",
            takes(path=STRING, old=STRING, new=STRING),
            writes=("fs/{path}",),
        ),
        Tool("write_file", "Writes a whole file.", takes(path=STRING, content=STRING), writes=("fs/{path}",)),
        # A test may look at any module, wherever it stands itself.
        Tool("run_tests", "Runs the tests below a folder.", takes(path=STRING), reads=("fs",)),
    ),
    "manual": (Tool("look_up", "Says what a name should be.", takes(name=STRING)),),
}


class Repository:
    """The files, and the manual."""

    def __init__(self, files: Mapping[str, str], manual: Mapping[str, str]) -> None:
        self._files = dict(files)
        self._manual = manual

    def call(self, server: str, tool: str, arguments: JsonObject) -> Answer:
        """Answer one call; a file or name that is not there is an error of the tool."""
        try:
            return Answer(self._answer(server, tool, arguments))
        except (KeyError, ValueError) as error:
            return Answer(f"{tool} failed: {error}", is_error=True)

    def state(self) -> Any:
        """The files."""
        return dict(self._files)

    def _answer(self, server: str, tool: str, arguments: JsonObject) -> str:
        path = str(arguments.get("path", ""))
        match server, tool:
            case "manual", "look_up":
                return json.dumps({"name": arguments["name"], "line": self._manual[arguments["name"]]})
            case "repository", "list_directory":
                return json.dumps({"files": self._below(path)})
            case "repository", "read_file":
                return self._files[path]
            case "repository", "grep":
                return json.dumps({"matches": self._matches(path, arguments["text"])})
            case "repository", "edit_file":
                return self._edit(path, arguments["old"], arguments["new"])
            case "repository", "write_file":
                self._files[path] = arguments["content"]
                return f"Wrote {path}."
            case "repository", "run_tests":
                return json.dumps(self._tested(path))
            case _:
                raise KeyError(tool)

    def _below(self, folder: str) -> list[str]:
        return sorted(path for path in self._files if path.startswith(f"{folder}/"))

    def _matches(self, folder: str, text: str) -> list[str]:
        lines = ((path, line) for path in self._below(folder) for line in self._files[path].splitlines())
        return [f"{path}: {line}" for path, line in lines if text in line]

    def _edit(self, path: str, old: str, new: str) -> str:
        if old not in self._files[path]:
            raise ValueError(f"{old!r} does not stand in {path}")
        self._files[path] = self._files[path].replace(old, new, 1)
        return f"Edited {path}."

    def _tested(self, folder: str) -> dict[str, Any]:
        failed: list[str] = []
        passed = 0
        for path in self._below(folder):
            for line in self._files[path].splitlines():
                expression, _, expected = line.removeprefix("assert ").partition(" == ")
                found = self._computed(expression, "")
                passed += found == int(expected)
                failed += [] if found == int(expected) else [f"{path}: {expression} is {found}, not {expected}"]
        return {"passed": passed, "failed": failed}

    def _computed(self, expression: str, module: str) -> int:
        return self._node(ast.parse(expression, mode="eval").body, module)

    def _node(self, node: ast.expr, module: str) -> int:
        match node:
            case ast.Constant(value=int(number)):
                return number
            case ast.BinOp(left=left, op=sign, right=right):
                return OPERATIONS[type(sign)](self._node(left, module), self._node(right, module))
            case ast.Name(id=name):
                return self._named(module, name)
            case ast.Attribute(value=ast.Name(id=other), attr=name):
                return self._named(other, name)
            case _:
                raise ValueError(f"{ast.unparse(node)} cannot be computed")

    def _named(self, module: str, name: str) -> int:
        lines = self._files[f"src/{module}.py"].splitlines()
        line = next((line for line in lines if line.startswith(f"{name} = ")), None)
        if line is None:
            raise ValueError(f"src/{module}.py has no {name}")
        return self._computed(line.partition(" = ")[2], module)
