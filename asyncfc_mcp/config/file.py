"""A configuration file that is read more than once, and what it held as it was."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from asyncfc_mcp.config.load import LoadedConfig, load_noting
from asyncfc_mcp.config.problems import ConfigurationError, Findings
from asyncfc_mcp.errors import GatewayError

_NOT_A_FILE = "not a file"


class ConfigFile:
    """A configuration file with the env files that it names, to be read at the start and whenever they change.

    Args:
        path: the file.
        environ: where its variables are looked up, each time.
        overrides: top-level settings from flags, which are stronger than the file; None meaning not given.
    """

    def __init__(self, path: Path, environ: Mapping[str, str], overrides: Mapping[str, object] | None = None) -> None:
        self.path = path.absolute()
        self._named = path
        self._environ = dict(environ)
        self._overrides = overrides or {}
        self._env_files: tuple[Path, ...] = ()
        self.loaded_from = self.look()
        """What all that was read held right before that."""

    @property
    def can_be_read_again(self) -> bool:
        """Whether it is there, and not a pipe that gives what it has only once."""
        return self.path.is_file()

    def look(self) -> dict[Path, str]:
        """A hash of what each of the files holds now; of one that is not there, or cannot be read, why not."""
        return {path: _content_hash(path) for path in (self.path, *self._env_files)}

    def load(self) -> LoadedConfig:
        """Read it.

        Raises:
            GatewayError: it cannot be used.
        """
        read = self._read()
        if not self.loaded_from.keys() >= set(self._env_files):  # nobody knows what those held that are new
            read = self._read()
        if isinstance(read, GatewayError):
            raise read
        return read

    def load_again(self) -> LoadedConfig:
        """Read it anew.

        Raises:
            GatewayError: it cannot be used, or a pipe or a device, which may never end, has come in its place.
        """
        self.loaded_from = self.look()
        if self.loaded_from[self.path] == _NOT_A_FILE and not self.path.is_dir():
            raise ConfigurationError(self._named, "the file", "a pipe or a device now", "a file, which can be followed")
        return self.load()

    def _read(self) -> LoadedConfig | GatewayError:
        self.loaded_from = self.look()
        findings = Findings()
        try:
            return load_noting(self._named, self._environ, self._overrides, findings)
        except GatewayError as error:
            return error
        finally:
            self._env_files = tuple(path.absolute() for path in findings.files)


def _content_hash(path: Path) -> str:
    try:
        if path.exists() and not path.is_file():  # a pipe would be used up, or never end
            return _NOT_A_FILE
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:  # also of a name too long to be one, and of a folder that may not be entered any more
        return type(error).__name__
