"""Whether a server's command, folder and paths are there, and where else they may be."""

from __future__ import annotations

import difflib
import os
import re
import shutil
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path, PureWindowsPath

from asyncfc_mcp.config.dialects import program_name, without_options
from asyncfc_mcp.config.models import StdioEntry
from asyncfc_mcp.inspection.findings import Finding, Severity

_HOME = Path(os.path.expanduser("~"))  # noqa: PTH111 - that of `Path` raises where nobody has a home, as in containers
_USUAL_FOLDERS = (
    *(_HOME / each for each in (".local/bin", ".cargo/bin", ".bun/bin", ".deno/bin", ".volta/bin", ".pyenv/shims")),
    *(Path(each) for each in ("/opt/homebrew/bin", "/usr/local/bin", "/usr/bin", "/snap/bin", "/opt/local/bin")),
)
"""Where installers put commands; a PATH often lacks some of them."""
_INSTALL = {
    "npx": "install Node.js, which brings it",
    "node": "install Node.js",
    "npm": "install Node.js, which brings it",
    "uvx": "install uv, which brings it",
    "uv": "install uv",
    "docker": "install Docker",
    "deno": "install Deno",
    "bun": "install Bun",
    "bunx": "install Bun, which brings it",
    "pipx": "install pipx",
}
_INTERPRETERS = re.compile(r"node|deno|bun|python[\d.]*|py|tsx|ts-node|ruby|perl|(ba|z|da)?sh")
_INTERPRETER_OF = {".py": "python3", ".js": "node", ".mjs": "node", ".cjs": "node", ".ts": "npx tsx", ".sh": "sh"}
_TAKES_NO_SCRIPT = frozenset({"-c", "-m", "-e", "-p", "--eval", "--print", "-"})
_NEARNESS = 0.75


def search_path(entry: StdioEntry, environ: Mapping[str, str]) -> str:
    """The PATH in which its command is looked for."""
    return entry.env.get("PATH", environ.get("PATH", os.defpath))


def found_command(entry: StdioEntry, path: str) -> str | None:
    """Where its command is, as the gateway looks for it."""
    command = entry.command
    if entry.cwd is not None and Path(command).parent != Path():
        command = str(entry.cwd / command)
    return shutil.which(command, path=path)


def command_findings(
    server: str, entry: StdioEntry, environ: Mapping[str, str], terminal_path: str
) -> Iterator[Finding]:
    """What keeps its process from being started at all; `terminal_path` is where else its command may be found."""
    if entry.cwd is not None and not is_there(entry.cwd, is_folder=True):
        yield Finding(
            server,
            Severity.ERROR,
            "folder_missing",
            f"its working folder {str(entry.cwd)!r} does not exist",
            f"create it or correct `cwd`{_near_path(entry.cwd)}",
        )
        return
    path = search_path(entry, environ)
    if found_command(entry, path) is not None:
        return
    if Path(entry.command).parent == Path():
        yield _not_on_path(server, entry, path, terminal_path)
    else:
        yield _not_at_its_place(server, entry)


def _not_on_path(server: str, entry: StdioEntry, path: str, terminal_path: str) -> Finding:
    command = entry.command
    fact = f"command {without_options(entry.command)!r} was not found in its PATH"
    first, *words = command.split()
    if words and shutil.which(first, path=path):
        remedy = f"write {first!r} as `command` and the words behind it as `args`"
        return Finding(server, Severity.ERROR, "command_not_found", fact, remedy)
    elsewhere = shutil.which(command, path=os.pathsep.join((terminal_path, *map(str, _USUAL_FOLDERS))))
    if elsewhere:
        remedy = f"it is at {elsewhere}: give that as `command`, or put its folder into `env.PATH`"
        return Finding(server, Severity.ERROR, "command_not_found", fact, remedy)
    near = difflib.get_close_matches(command, _commands_in(path), n=3, cutoff=_NEARNESS)
    meant = f"did you mean {' or '.join(near)}? If not, " if near else ""
    way = _INSTALL.get(program_name(command), "install it, or give its whole path as `command`")
    remedy = f"{meant}{way} (a program with windows has a shorter PATH than a terminal: whole paths work in both)"
    return Finding(server, Severity.ERROR, "command_not_found", fact, remedy)


def _not_at_its_place(server: str, entry: StdioEntry) -> Finding:
    place = Path(entry.command) if entry.cwd is None else entry.cwd / entry.command
    if entry.command.startswith("~"):
        whole = _without_tilde(entry.command)
        remedy = f"write {whole!r}" if is_there(Path(whole)) else "write the whole path"
        fact = f"command {entry.command!r} is not found: no shell is there to replace the ~"
        return Finding(server, Severity.ERROR, "command_not_found", fact, remedy)
    if not is_there(place):
        fact = f"command {without_options(entry.command)!r} does not exist"
        remedy = f"correct `command`{_near_path(place)}"
        if " " in entry.command:
            remedy += "; words behind the program belong into `args`"
        return Finding(server, Severity.ERROR, "command_not_found", fact, remedy)
    if is_there(place, is_folder=True):
        fact = f"command {entry.command!r} is a folder"
        return Finding(server, Severity.ERROR, "command_not_found", fact, "name the program in it")
    interpreter = _INTERPRETER_OF.get(place.suffix)
    way = f", or start it with {interpreter!r} as `command` and its path in `args`" if interpreter else ""
    fact = f"command {entry.command!r} is there, but is not executable"
    return Finding(server, Severity.ERROR, "not_executable", fact, f"run `chmod +x {place}`{way}")


def _commands_in(path: str) -> list[str]:
    names: set[str] = set()
    for folder in path.split(os.pathsep):
        try:
            names.update(each.name for each in Path(folder).iterdir())
        except OSError:  # a PATH may name what is not there
            continue
    return sorted(names)


def path_findings(server: str, entry: StdioEntry, *, is_up: bool) -> Iterator[Finding]:
    """Paths among its arguments that do not exist: most often the reason why it does not start."""
    severity = Severity.WARNING if is_up else Severity.ERROR
    script = _script(entry)
    base = entry.cwd or Path.cwd()
    if script is not None and not is_there(base / script):
        fact = f"its script {script!r} does not exist{'' if Path(script).is_absolute() else f' in {base}'}"
        remedy = f"correct the path in `args`{_near_path(base / script)}"
        if not is_up:
            yield Finding(server, Severity.ERROR, "script_missing", fact, remedy)
    elif script is not None and entry.cwd is None and not Path(script).is_absolute():
        yield Finding(
            server,
            Severity.NOTE,
            "relative_path",
            f"its script {script!r} is looked for in the folder that the gateway is started in; each host has its own",
            "write the whole path, or set `cwd`",
        )
    for word in entry.args:
        written = word.partition("=")[2] if word.startswith("-") else word
        if written.startswith("~/") or written == "~":
            yield Finding(
                server,
                severity,
                "tilde",
                f"argument {written!r} reaches the server as it is: no shell is there to replace the ~",
                f"write {_without_tilde(written)!r} or ${{userHome}}{written[1:]}",
            )
        elif word != script and _is_missing(written):
            fact = f"argument {written!r} is a path that does not exist"
            remedy = f"create it or correct `args`{_near_path(Path(written))}"
            yield Finding(server, severity, "path_missing", fact, remedy)


def is_there(path: Path, *, is_folder: bool = False) -> bool:
    """Whether something is there, or a folder; what may not be looked at is not said to be missing."""
    try:
        mode = path.stat().st_mode
    except PermissionError:
        return True
    except OSError:  # an argument may be longer than any name of a file
        return False
    return not is_folder or stat.S_ISDIR(mode)


def _without_tilde(written: str) -> str:
    return os.path.expanduser(written)  # noqa: PTH111 - that of `Path` raises where there is no such user


def _script(entry: StdioEntry) -> str | None:
    """What an interpreter is given to run, where it is a file."""
    if not _INTERPRETERS.fullmatch(program_name(entry.command)):
        return None
    for word in entry.args:
        if word in _TAKES_NO_SCRIPT:
            return None
        if not word.startswith("-"):
            is_file = "/" in word or "\\" in word or PureWindowsPath(word).suffix in _INTERPRETER_OF
            return word if is_file and "://" not in word else None
    return None


def _is_missing(written: str) -> bool:
    """An absolute path with nothing there, and no folder to make it in: a server may make the file itself."""
    path = Path(written)
    return path.is_absolute() and not is_there(path) and not (path.suffix and is_there(path.parent, is_folder=True))


def _near_path(path: Path) -> str:
    """`; did you mean …?`, from what is there in the last folder of it that exists."""
    there = next((folder for folder in path.parents if is_there(folder, is_folder=True)), None)
    if there is None:
        return ""
    missing = path.relative_to(there).parts[0]
    try:
        names = [each.name for each in there.iterdir()]
    except OSError:
        return ""
    near = difflib.get_close_matches(missing, names, n=1, cutoff=_NEARNESS)
    return f"; did you mean {there / near[0]}?" if near else f"; {there} is the last folder on its way that exists"
