"""What differs between the configuration that is in force and the one that its file says now, and which of it counts.

Everything that is said of a server counts while the gateway runs. Of what stands only at the top, that is said here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel

from asyncfc_mcp.config.models import GatewayConfig, GatewaySettings, ServerEntry, ServerSettings, SharedSettings

TAKEN_UP = frozenset(SharedSettings.model_fields) | {
    "audit",
    "await_cap_s",
    "flows",
    "max_argument_mb",
    "max_chain",
    "max_kept_mb",
    "max_running",
    "max_unsettled",
    "max_unsettled_total",
    "on_unseen_failure",
    "order",
    "pin_tools",
    "piggyback",
    "ttl_s",
}
"""Settings at the top that count as soon as they have changed. All others need a restart, and so does a new one until
somebody has seen to it that it can stand here."""


@dataclass(frozen=True, slots=True)
class Differences:
    """What another configuration changes: keys of servers and names of settings, never values."""

    added: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()
    """Servers that are started or reached in another way now."""
    changed: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """By server, the settings that are others; of one tool as `tools.NAME`."""
    settings: tuple[str, ...] = ()
    """At the top of the file."""
    needs_restart: tuple[str, ...] = ()
    """At the top of the file, and as they were until the gateway is started again."""
    is_reordered: bool = False
    """Whether the servers stand in another order."""

    @property
    def takes_effect(self) -> bool:
        """Whether anything is to be done about it now."""
        return bool(self.added or self.gone or self.replaced or self.changed or self.settings or self.is_reordered)


@dataclass(frozen=True, slots=True)
class FileStanding:
    """Where the file says something else than what is in force."""

    needs_restart: tuple[str, ...] = ()
    refusal: str | None = None
    """Why the file cannot be used as it is now."""


def differences(before: GatewayConfig, after: GatewayConfig) -> Differences:
    """What `after` changes of `before`."""
    old = {entry.key: entry for entry in before.servers}
    new = {entry.key: entry for entry in after.servers}
    both = [key for key in new if key in old]
    names = {_name_in_file(GatewaySettings, name): name for name in _differing(before.settings, after.settings)}
    changed = {key: tuple(_changed_settings(old[key], new[key])) for key in both}
    return Differences(
        added=tuple(key for key in new if key not in old),
        gone=tuple(key for key in old if key not in new),
        replaced=tuple(key for key in both if old[key].transport != new[key].transport),
        changed={key: names for key, names in changed.items() if names},
        settings=tuple(shown for shown, name in names.items() if name in TAKEN_UP),
        needs_restart=tuple(shown for shown, name in names.items() if name not in TAKEN_UP),
        is_reordered=both != [key for key in old if key in new],
    )


def in_force(before: GatewayConfig, after: GatewayConfig) -> GatewayConfig:
    """`after`, but for the settings that need a restart: these stay as they were."""
    kept = {name: getattr(before.settings, name) for name in GatewaySettings.model_fields if name not in TAKEN_UP}
    return after.model_copy(update={"settings": after.settings.model_copy(update=kept)})


def _changed_settings(before: ServerEntry, after: ServerEntry) -> Iterator[str]:
    for name in _differing(before.settings, after.settings):
        if name != "tools":
            yield _name_in_file(ServerSettings, name)
    old, new = before.settings.tools, after.settings.tools
    yield from (f"tools.{tool}" for tool in dict.fromkeys((*old, *new)) if old.get(tool) != new.get(tool))


def _differing(before: BaseModel, after: BaseModel) -> list[str]:
    return [name for name in type(before).model_fields if getattr(before, name) != getattr(after, name)]


def _name_in_file(model: type[BaseModel], name: str) -> str:
    return model.model_fields[name].alias or name
