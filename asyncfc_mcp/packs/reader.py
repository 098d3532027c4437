"""Which label pack fits a server, if any: told by its command line and by the tools that it lists."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TypedDict, cast
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Pack:
    """The labels of one well-known server."""

    name: str
    verified: str
    """The packages and versions whose source the labels were checked against."""
    packages: frozenset[str]
    """The names that its packages and commands go by."""
    hosts: frozenset[str]
    """Where its maker runs it for everybody."""
    core_tools: frozenset[str]
    """A server without all of these is some other server, or a version that this pack does not know.

    Empty where users choose what their server lists, and the name alone says which server it is.
    """
    names_files: bool
    """Whether its labels are paths of this machine, which a server in a container or elsewhere does not share."""
    unless: frozenset[str]
    """Options on the command line that make its labels wrong."""
    tools: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]
    """From a tool's own name to the templates of what it reads and what it writes."""

    def lists(self, tools: frozenset[str]) -> bool:
        """Whether a server with these tools can be the one that this pack knows."""
        return self.core_tools <= tools and not tools.isdisjoint(self.tools)


class _ToolData(TypedDict):
    reads: list[str]
    writes: list[str]


class _PackData(TypedDict):
    name: str
    verified: str
    packages: list[str]
    hosts: list[str]
    core_tools: list[str]
    names_files: bool
    unless: list[str]
    tools: dict[str, _ToolData]


_ELSEWHERE = frozenset(
    {
        *("docker", "docker-compose", "podman", "podman-compose", "nerdctl", "finch", "ctr", "apptainer"),
        *("singularity", "kubectl", "oc", "lxc", "incus", "limactl", "colima", "multipass", "vagrant", "orb", "wsl"),
        *("nsenter", "unshare", "chroot", "proot", "bwrap", "firejail", "systemd-nspawn", "flatpak", "toolbox"),
        *("distrobox", "devcontainer", "ssh", "autossh", "mosh", "plink"),
    }
)
"""Commands whose children see other files than we do."""

_REPOSITORY = re.compile(
    r"(?:^|[=@/])(?:git\+|git://|git@|(?:github|gitlab|bitbucket|gist):)"
    r"|://(?:www\.)?(?:github|gitlab)\.com/|://.*\.git\b",
    re.IGNORECASE,
)
"""Where somebody's own version of a package comes from, which may do something else than the one that we know."""

_NPM = frozenset({"npx", "npm", "pnpx", "pnpm", "bunx", "bun", "yarn"})
"""Commands that take `owner/name` for a repository at GitHub."""

_PACKAGE_NAME = re.compile(r"(?:@[\w-]+/)?[\w-]+")


def find_pack(identity: Sequence[str], tools: Collection[str]) -> Pack | None:
    """The pack of the server whose command line or url has these words and that lists these tools."""
    words = [part for word in identity for part in word.split()]
    if _runs_from_repository(words):
        return None
    names = _package_names(words)
    hosts = _hosts(words)
    # A url names a server elsewhere, also as the argument of a local bridge; as an index or proxy it names no package.
    local_names = frozenset[str]() if _runs_elsewhere(identity) else _package_names(w for w in words if "://" not in w)
    listed = frozenset(tools)
    for pack in read_packs():
        is_named = not pack.packages.isdisjoint(local_names if pack.names_files else names)
        is_named = is_named or not pack.hosts.isdisjoint(hosts)
        if is_named and pack.lists(listed) and not _has_option(words, pack.unless):
            return pack
    return None


@cache
def read_packs() -> tuple[Pack, ...]:
    """Every pack that is shipped, by name."""
    found = (entry for entry in files(__package__ or __name__).iterdir() if entry.name.endswith(".json"))
    packs = (_pack(json.loads(entry.read_text("utf-8"))) for entry in found)
    return tuple(sorted(packs, key=lambda pack: pack.name))


def _pack(data: object) -> Pack:
    values = cast("_PackData", data)
    return Pack(
        name=values["name"],
        verified=values["verified"],
        packages=frozenset(values["packages"]),
        hosts=frozenset(values["hosts"]),
        core_tools=frozenset(values["core_tools"]),
        names_files=values["names_files"],
        unless=frozenset(values["unless"]),
        tools={tool: (tuple(labels["reads"]), tuple(labels["writes"])) for tool, labels in values["tools"].items()},
    )


def _package_names(words: Iterable[str]) -> frozenset[str]:
    """What could be a package: `/x/@scope/name/index.js`, `name==1.2`, `name@latest` and `a_b` hold one each."""
    found = (name for word in words for name in _PACKAGE_NAME.findall(word.replace("\\", "/")))
    return frozenset(name.lower().replace("_", "-") for name in found)


def _hosts(words: Iterable[str]) -> frozenset[str]:
    """The hosts of the urls, of the server itself or of what a bridge leads to."""
    found: set[str] = set()
    for word in words:
        with suppress(ValueError):  # a url that cannot be read leads to no host that we know
            found.add(urlsplit(word).hostname or "")
    return frozenset(found)


def _has_option(words: Sequence[str], options: Collection[str]) -> bool:
    """Whether one of the options is given, perhaps shortened, as Python's argument parser allows."""
    given = [word.partition("=")[0] for word in words if word.startswith("--") and word != "--"]
    return any(option.startswith(word) for word in given for option in options)


def _runs_from_repository(words: Sequence[str]) -> bool:
    if any(_REPOSITORY.search(word) for word in words):
        return True
    if _NPM.isdisjoint(map(_program, words)):
        return False
    shorthands = (re.fullmatch(r"[\w-]+/([\w-]+)(?:#.*)?", word) for word in words)
    return any(found and found[1].lower() in pack.packages for found in shorthands for pack in read_packs())


def _runs_elsewhere(identity: Sequence[str]) -> bool:
    words = [part for word in identity for part in word.split()]
    # A folder among the arguments may be called `docker` too.
    commands = [*identity[:1], *(word for word in words if "/" not in word or "/bin/" in word)]
    return not _ELSEWHERE.isdisjoint(map(_program, commands))


def _program(command: str) -> str:
    return re.sub(r"\.(exe|cmd|bat)$", "", re.split(r"[\\/]", command)[-1].lower())
