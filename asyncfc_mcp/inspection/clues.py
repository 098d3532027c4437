"""What servers say when they cannot start, and what mends it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from asyncfc_mcp.inspection.servers import ListedServer

_SHOWN_LINES = 3
_TELLING = re.compile(
    r"error|cannot|can't|not found|missing|invalid|denied|fail|refused|required|usage:", re.IGNORECASE
)
_CLUES: dict[str, str] = {
    r"docker daemon|docker\.sock": "start Docker",
    r"Cannot find module|ERR_MODULE_NOT_FOUND": "the script or one of its packages is not there: correct the path in "
    "`args`, or run its package manager's install (and build) in its folder",
    r"ModuleNotFoundError|No module named": "the Python that starts it lacks the package: start it with `uvx PACKAGE`, "
    "or with the whole path of the Python in which it is installed",
    r"can't open file|No such file|ENOENT|does not exist|not a directory|(not |in)accessible|cannot access": "correct "
    "the path that it names, in `args` or `env`",
    r"\bE404\b|404 Not Found|No matching distribution|not found in the package registry": "correct the name of the "
    "package in `args`",
    r"ENOTFOUND|EAI_AGAIN|getaddrinfo|name resolution|ECONNREFUSED|Connection refused|network is unreachable": "it "
    "needs something over the network that cannot be reached: check the connection, the proxy and its address",
    r"\b40[13]\b|Unauthorized|Forbidden|invalid (api )?key|bad credentials": "its credentials are refused: correct "
    "them in `env`",
    r"(api|access)[ _-]?(key|token)|env(ironment)? var|(is|are) required|must be set|not set|missing": "it wants "
    "something that it is not given: put it into `env` or `args`",
    r"EACCES|Permission denied|EPERM": "it may not use a file: correct the permissions of what it names",
    r"EADDRINUSE|address already in use": "another program has its port: end that one, or give it another port",
    r"Unsupported engine|requires Node|SyntaxError: Unexpected|Requires-Python|requires Python": "it is "
    "made for another version of Node or Python: start it with that one",
    r"usage:|unrecognized arguments|unknown option|invalid (option|argument)": "its arguments are not what it takes: "
    "correct `args`",
}
"""The first that fits counts."""


def remedy_for(*words: str) -> str | None:
    """What mends a fault of which this was said; None where nothing is known of it."""
    text = "\n".join(words)
    return next((remedy for pattern, remedy in _CLUES.items() if re.search(pattern, text, re.IGNORECASE)), None)


def last_words(server: ListedServer) -> str:
    """The lines that tell most of what a server said, as the end of a sentence."""
    words = server.stderr or server.noise
    telling = [line for line in words if _TELLING.search(line)]
    return f"; it said: {quoted(telling or words)}" if words else "; it said nothing"


def quoted(lines: Sequence[str]) -> str:
    """The last of some lines, in one."""
    return " | ".join(line.strip() for line in lines[-_SHOWN_LINES:] if line.strip())
