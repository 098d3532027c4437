"""The labels of one call: a policy's templates filled from its arguments, with the disk consulted for local servers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from asyncfc_mcp.config.policy import ToolPolicy
from asyncfc_mcp.core.label import Access, Label, LabelPath, Template, absolute_segments, expand

_parse = lru_cache(maxsize=4096)(Template.parse)

_DEEPEST_PATH = 64
"""More folders than this are not looked for on the disk: thousands, times hundreds of paths, would take seconds."""


def labels_of(
    policy: ToolPolicy,
    arguments: Mapping[str, object],
    is_opaque: Callable[[str], bool],
    *,
    cwd: Path | None = None,
) -> tuple[Label, ...]:
    """What a call reads and writes, without what a wider or stronger label of it covers already.

    `is_opaque` says which arguments hold a reference. `cwd` is given only for a local server that is known to take
    relative paths from there; otherwise a relative path could be anywhere.
    """
    return _labels(
        _paths(policy, Access.WRITE, arguments, is_opaque, cwd),
        _paths(policy, Access.READ, arguments, is_opaque, cwd),
        is_declared=policy.labels_are_declared,
    )


def fixed_labels(policy: ToolPolicy) -> tuple[Label, ...] | None:
    """What every call of the tool reads and writes; None where that depends on its arguments."""
    return _fixed(policy.writes, policy.reads, is_declared=policy.labels_are_declared)


@lru_cache(maxsize=4096)
def _fixed(writes: tuple[str, ...], reads: tuple[str, ...], *, is_declared: bool) -> tuple[Label, ...] | None:
    if any(_parse(text).fields for text in (*writes, *reads)):
        return None
    written, read = ([_parse(text).namespace for text in texts] for texts in (writes, reads))
    return _labels(written, read, is_declared=is_declared)


def _labels(written: Iterable[LabelPath], read: Iterable[LabelPath], *, is_declared: bool) -> tuple[Label, ...]:
    writes, reads = _widest(written), _widest(read)
    return (
        *(Label(path, Access.WRITE, is_declared) for path in writes),
        *(Label(path, Access.READ, is_declared) for path in reads if not _is_covered(path, writes)),
    )


def _paths(
    policy: ToolPolicy,
    access: Access,
    arguments: Mapping[str, object],
    is_opaque: Callable[[str], bool],
    cwd: Path | None,
) -> Iterator[LabelPath]:
    for text in policy.writes if access is Access.WRITE else policy.reads:
        template = _parse(text)
        if not policy.is_local:
            yield from expand(template, arguments, is_opaque, absolute_segments)
            continue
        disk = _Disk(cwd, is_write=access is Access.WRITE, is_folder=template.goes_on_after_path)
        paths = _on_disk(template, arguments, is_opaque, disk)
        if disk.has_widened and disk.is_folder and template.namespace not in paths:
            # What follows in the template would lie in the missing folder, and make its label a narrow one again.
            paths = _on_disk(template.up_to_path(), arguments, is_opaque, disk)
        yield from paths


def _on_disk(
    template: Template, arguments: Mapping[str, object], is_opaque: Callable[[str], bool], disk: _Disk
) -> tuple[LabelPath, ...]:
    paths = expand(template, arguments, is_opaque, disk.real_segments)
    if disk.has_followed_link:
        # An earlier call may yet replace the link, so the name counts as well as what it stands for now.
        paths += expand(template, arguments, is_opaque, disk.named_segments)
    return paths


def _widest(paths: Iterable[LabelPath]) -> dict[LabelPath, None]:
    """The paths without duplicates and without those below another; a dict, to keep their order."""
    candidates = dict.fromkeys(paths)
    return {path: None for path in candidates if not path or not _is_covered(path[:-1], candidates)}


def _is_covered(path: LabelPath, by: Mapping[LabelPath, None]) -> bool:
    return any(path[:length] in by for length in range(len(path) + 1))


@dataclass(slots=True)
class _Disk:
    """Where the paths of one template lead on this machine, and what was on the way."""

    cwd: Path | None
    is_write: bool
    is_folder: bool
    """Whether what is named has to be a folder, since more follows in the template."""
    has_followed_link: bool = False
    has_widened: bool = False
    """Whether a folder to be written in is missing."""

    def real_segments(self, text: str) -> LabelPath | None:
        """The segments with every existing symbolic link followed."""
        path = self._absolute(text)
        if path is None:
            return None
        named = os.path.normpath(path)
        real = os.path.realpath(named)
        if ".." in path and os.path.realpath(path) != real:
            # `link/..` is the link's own folder to some servers and its target's to others.
            return None
        self.has_followed_link |= real != named
        return self._segments(real)

    def named_segments(self, text: str) -> LabelPath | None:
        """The segments as they are written."""
        path = self._absolute(text)
        return None if path is None else self._segments(os.path.normpath(path))

    def _absolute(self, text: str) -> str | None:
        if text.startswith("~") or text.count("/") > _DEEPEST_PATH or not _can_be_file_name(text):
            return None
        if "$" in text and os.path.expandvars(text) != text:
            # Some servers (git) fill in variables, others take the name as it stands.
            return None
        if Path(text).is_absolute():
            return text
        return None if self.cwd is None else str(self.cwd / text)

    def _segments(self, path: str) -> LabelPath | None:
        """A write in a folder that does not exist yet is one to the first missing folder: it may create that too."""
        segments = absolute_segments(path)
        if segments is None or not self.is_write:
            return segments
        place = Path(path)
        self.has_widened |= self.is_folder and not os.access(place, os.F_OK)
        while place.parent != place and not os.access(place.parent, os.F_OK):
            place = place.parent
            self.has_widened = True
        return absolute_segments(str(place))


def _can_be_file_name(text: str) -> bool:
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False
