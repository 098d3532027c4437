"""What a program hands over as its configuration: a document of its own, or a file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from asyncfc_mcp.config.load import LoadedConfig, load_document, load_file, state_folder
from asyncfc_mcp.config.problems import ConfigurationError
from asyncfc_mcp.embedding.plain import plain

FROM_PROGRAM = "Gateway(...)"
"""What messages call a configuration that is no file."""


@dataclass(frozen=True, slots=True)
class Setup:
    """All that a gateway in this process is started with."""

    loaded: LoadedConfig
    state_folder: Path | None
    """Where tool lists, pins, sign-ins, the audit log and a `sqlite` store are kept; None: nothing is written."""


def from_document(document: Mapping[str, Any], folder: Path | None) -> Setup:
    """The setup that a program has written as a dictionary.

    Raises:
        ConfigurationError: it cannot be used.
    """
    try:  # so that a dictionary means what the same file would
        as_in_a_file = plain(document)
    except ValueError as odd:
        raise ConfigurationError(FROM_PROGRAM, "config", f"no JSON: {odd}", "what a file can hold, and paths") from None
    return _setup(load_document(as_in_a_file, FROM_PROGRAM, os.environ), folder)


def from_file(path: Path, folder: Path | None) -> Setup:
    """The setup of a configuration file in any client's dialect.

    Raises:
        ConfigurationError: it cannot be used.
    """
    return _setup(load_file(path, os.environ), folder)


def _setup(loaded: LoadedConfig, folder: Path | None) -> Setup:
    """Nothing outlives a program that did not ask for it."""
    settings = loaded.config.settings
    if "store" not in settings.model_fields_set:
        forgetful = settings.model_copy(update={"store": "memory"})
        loaded = replace(loaded, config=loaded.config.model_copy(update={"settings": forgetful}))
    elif folder is None and settings.store == "sqlite":
        folder = state_folder(os.environ)
    return Setup(loaded, folder)
