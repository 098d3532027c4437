"""Ends the servers of a gateway that was killed and could not do it itself.

A child that is frozen, or takes no notice of the end of its stdin, would live on beside those of the next gateway. So a
small shell stands by. It holds one end of a pipe and we the other: however we end, it reads the end of the file.
"""

from __future__ import annotations

import os
import subprocess
import threading

import structlog

log = structlog.get_logger(__name__)

NAME = "asyncfc-mcp-guardian"
"""What it is called in a list of processes."""

_SCRIPT = """
trap '' HUP INT QUIT TERM
while read -r line; do groups=$line; done
send() { for group in $groups; do kill -s "$1" -- "-$group"; done; }
wait_for_their_end() {
    looks=$1
    while [ "$looks" -gt 0 ]; do
        left=
        for group in $groups; do kill -s 0 -- "-$group" && left="$left $group"; done
        groups=$left
        [ -n "$groups" ] || exit 0
        sleep 0.05
        looks=$((looks - 1))
    done
}
wait_for_their_end 5
send TERM
wait_for_their_end 20
send KILL
"""
"""The last line it has read holds all groups. They get what `ChildProcess.end` would give them, with more patience."""


class Guardian:
    """Watches process groups: one shell for all of them, and none while there are none.

    Gateways in several threads of a program share it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._groups: set[int] = set()
        self._shell: subprocess.Popen[bytes] | None = None

    def watch(self, group: int) -> None:
        """Have that group ended if we are killed."""
        with self._lock:
            self._groups.add(group)
            self._tell()

    def forget(self, group: int) -> None:
        """Leave that group alone: it has ended, and its number may soon be somebody else's."""
        with self._lock:
            if group not in self._groups:
                return
            self._groups.remove(group)
            if self._groups:
                self._tell()
            else:
                self._dismiss()

    def _tell(self) -> None:
        line = " ".join(map(str, sorted(self._groups))).encode() + b"\n"
        if self._shell is not None and _takes(self._shell, line):
            return
        # There is none yet, or somebody has ended it.
        self._dismiss()
        self._shell = _started()
        if self._shell is not None:
            _takes(self._shell, line)

    def _dismiss(self) -> None:
        if self._shell is None:
            return
        with self._shell as shell:  # closes the pipe and reaps it, which takes no time after this signal
            shell.kill()
        self._shell = None


def _started() -> subprocess.Popen[bytes] | None:
    try:
        shell = subprocess.Popen(  # noqa: S603 - the text is ours
            ["/bin/sh", "-c", _SCRIPT, NAME],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={"PATH": os.environ.get("PATH", os.defpath)},
            start_new_session=True,  # or Ctrl-C, and whoever kills our process group, would take it first
        )
    except OSError as error:
        effect = "servers that take no notice of the end of their stdin will outlive a gateway that is killed"
        log.warning("guardian_not_started", error=str(error), effect=effect)
        return None
    os.set_blocking(_pipe_to(shell), False)
    return shell


def _takes(shell: subprocess.Popen[bytes], line: bytes) -> bool:
    try:
        return os.write(_pipe_to(shell), line) == len(line)
    except OSError:
        return False


def _pipe_to(shell: subprocess.Popen[bytes]) -> int:
    if shell.stdin is None:
        raise RuntimeError("the guardian is always started with a pipe")
    return shell.stdin.fileno()
