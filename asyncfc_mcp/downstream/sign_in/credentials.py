"""What a sign-in gave, kept from one start to the next: in the system's keyring, else in one private file.

Nothing of it is ever put into a log line or an error.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import anyio
import anyio.to_thread
import structlog
from mcp.shared.auth import OAuthClientInformationFull, OAuthMetadata, OAuthToken, ProtectedResourceMetadata
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from asyncfc_mcp.config.private_folders import make_private_folders
from asyncfc_mcp.downstream.private_file import replace_file
from asyncfc_mcp.errors import GatewayError

log = structlog.get_logger(__name__)

_SERVICE = "asyncfc-mcp"
_VAULT_LIMIT_S = 20.0
"""A keyring may ask the user to unlock it, where perhaps nobody sees that."""


class NotSignedIn(GatewayError):
    """There are no credentials that a server takes, and somebody has to do something about it."""


class Credentials(BaseModel):
    """All that is known for talking to one server as one user."""

    model_config = ConfigDict(frozen=True)

    tokens: OAuthToken | None = Field(default=None, repr=False)
    expires_at: float | None = None
    """When the access token ends, in seconds of the system's clock; None: unknown."""
    client: OAuthClientInformationFull | None = Field(default=None, repr=False)
    """Who we are to the authorization server."""
    authorization_server: OAuthMetadata | None = None
    resource: ProtectedResourceMetadata | None = None

    @property
    def access_token(self) -> str | None:
        """What requests carry; None before a sign-in."""
        return self.tokens.access_token if self.tokens else None

    def signed_out(self) -> Credentials:
        """The same without tokens."""
        return self.model_copy(update={"tokens": None, "expires_at": None})


class Vault(Protocol):
    """One place for one text; every method may block and may fail in its own way."""

    name: str

    def read(self) -> str | None:
        """The text; None when there is none."""
        ...

    def write(self, text: str) -> None:
        """Replace the text in one step."""
        ...

    def clear(self) -> None:
        """Leave nothing behind."""
        ...


class FileVault:
    """A file that only its owner can read."""

    name = "file"

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> str | None:
        """The file's text."""
        with suppress(FileNotFoundError):
            return self.path.read_text(encoding="utf-8")
        return None

    def write(self, text: str) -> None:
        """Replace the file; its folder is the owner's alone as well."""
        folder = self.path.parent
        make_private_folders(folder)
        if os.name == "posix":  # elsewhere the user's profile guards it
            folder.chmod(0o700)
        replace_file(self.path, text.encode(), outlives_power_cut=True)

    def clear(self) -> None:
        """Remove the file."""
        self.path.unlink(missing_ok=True)


class KeyringVault:
    """The system's keyring, through the `keyring` package."""

    name = "keyring"

    def __init__(self, keyring: Any, user: str) -> None:
        self._keyring = keyring
        self._user = user

    def read(self) -> str | None:
        """The password of our entry."""
        return self._keyring.get_password(_SERVICE, self._user)

    def write(self, text: str) -> None:
        """Set the password of our entry."""
        self._keyring.set_password(_SERVICE, self._user, text)

    def clear(self) -> None:
        """Delete our entry, if there is one."""
        if self.read() is not None:
            self._keyring.delete_password(_SERVICE, self._user)


class CredentialStore:
    """The credentials for one server, found again by its key and its address; without a vault, only as long as we run.

    The vaults are tried in order: the first that takes the text has it, and the others are emptied.
    """

    def __init__(self, server: str, vaults: Sequence[Vault]) -> None:
        self._server = server
        self._vaults = vaults
        self._unsaved: Credentials | None = None

    async def load(self) -> Credentials:
        """What was last saved, by this gateway or another one of the same user; empty when there is nothing."""
        if self._unsaved is not None:
            return self._unsaved
        for vault in self._vaults:
            try:
                text = await _in_time(vault.read)
                if text is not None:
                    return Credentials.model_validate_json(text)
            except ValidationError:
                log.warning("credentials_ignored", server=self._server, vault=vault.name, fault="they are damaged")
            except Exception as error:  # noqa: BLE001 - keyrings fail in ways of their own, and must cost no more than themselves
                log.warning("credentials_not_read", server=self._server, vault=vault.name, fault=type(error).__name__)
        return Credentials()

    async def save(self, credentials: Credentials) -> None:
        """Keep these in place of all earlier ones."""
        self._unsaved = credentials
        text = credentials.model_dump_json(exclude_none=True)
        is_kept = credentials == Credentials()
        for vault in self._vaults:
            try:
                if is_kept:
                    await _in_time(vault.clear)
                    continue
                await _in_time(lambda vault=vault: vault.write(text))
                is_kept = True
            except Exception as error:  # noqa: BLE001 - the next vault is there for it
                log.info("credentials_not_kept", server=self._server, vault=vault.name, fault=type(error).__name__)
        if is_kept:
            self._unsaved = None
        elif self._vaults:
            log.warning("sign_in_not_kept", server=self._server, effect="the next start has to sign in again")


def credential_store(server: str, url: str, state_folder: Path | None) -> CredentialStore:
    """Where the credentials of one server are kept on this machine; nowhere without a state folder."""
    if state_folder is None:
        return CredentialStore(server, [])
    digest = hashlib.sha256(f"{server}\0{url}".encode()).hexdigest()
    file = FileVault(state_folder / "sign-ins" / f"{digest}.json")
    keyring = _usable_keyring()
    return CredentialStore(server, [file] if keyring is None else [KeyringVault(keyring, f"{server} {digest}"), file])


def _usable_keyring() -> Any | None:
    try:
        keyring = import_module("keyring")
        # Below 1 the package itself recommends none: nothing there, switched off, or a file in plain text.
        return keyring if keyring.get_keyring().priority >= 1 else None
    except Exception:  # noqa: BLE001 - not installed, or one of its back ends cannot even be looked at
        return None


async def _in_time(action: Any) -> Any:
    with anyio.fail_after(_VAULT_LIMIT_S):
        return await anyio.to_thread.run_sync(action, abandon_on_cancel=True)
