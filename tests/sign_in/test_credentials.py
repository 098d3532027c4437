"""Where credentials are kept, and what becomes of them when a place fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mcp.shared.auth import OAuthToken
from structlog.testing import capture_logs

from asyncfc_mcp.downstream.sign_in.credentials import (
    Credentials,
    CredentialStore,
    FileVault,
    KeyringVault,
    credential_store,
)

pytestmark = pytest.mark.anyio

SOME = Credentials(tokens=OAuthToken(access_token="very-secret", refresh_token="more-secret"), expires_at=5.0)


class Drawer:
    """A keyring with the two faces of the real ones: it keeps texts up to a size, or is locked."""

    def __init__(self, *, most: int = 10_000) -> None:
        self.most = most
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, user: str) -> str | None:
        if self.most == 0:
            raise PermissionError("locked: very-secret")
        return self.kept.get((service, user))

    def set_password(self, service: str, user: str, password: str) -> None:
        if len(password) > self.most:
            raise ValueError(f"too long: {password}")
        self.kept[service, user] = password

    def delete_password(self, service: str, user: str) -> None:
        del self.kept[service, user]


async def test_what_was_saved_is_loaded_by_the_next_store(tmp_path: Path) -> None:
    await credential_store("far", "https://example.org/mcp", tmp_path).save(SOME)
    assert await credential_store("far", "https://example.org/mcp", tmp_path).load() == SOME
    assert await credential_store("near", "https://example.org/mcp", tmp_path).load() == Credentials()
    assert await credential_store("far", "https://example.org/other", tmp_path).load() == Credentials()


async def test_a_keyring_that_takes_them_leaves_nothing_in_the_file(tmp_path: Path) -> None:
    file = FileVault(tmp_path / "sign-ins" / "far.json")
    file.write("{}")
    drawer = Drawer()
    await CredentialStore("far", [KeyringVault(drawer, "far"), file]).save(SOME)
    assert list(drawer.kept) == [("asyncfc-mcp", "far")]
    assert not file.path.exists()


@pytest.mark.parametrize("most", [0, 10])
async def test_a_keyring_that_refuses_them_leaves_it_to_the_file(tmp_path: Path, most: int) -> None:
    file = FileVault(tmp_path / "far.json")
    vaults = [KeyringVault(Drawer(most=most), "far"), file]
    with capture_logs() as logs:
        await CredentialStore("far", vaults).save(SOME)
        assert await CredentialStore("far", vaults).load() == SOME
    assert "secret" not in str(logs)


async def test_empty_credentials_clear_every_place(tmp_path: Path) -> None:
    file, drawer = FileVault(tmp_path / "far.json"), Drawer()
    store = CredentialStore("far", [KeyringVault(drawer, "far"), file])
    await store.save(SOME)
    file.write(SOME.model_dump_json())
    await store.save(Credentials())
    assert not drawer.kept
    assert not file.path.exists()


async def test_where_nothing_can_be_kept_they_live_as_long_as_the_gateway(tmp_path: Path) -> None:
    (tmp_path / "sign-ins").write_text("a file in the place of the folder")
    store = credential_store("far", "https://example.org/mcp", tmp_path)
    with capture_logs() as logs:
        await store.save(SOME)
    assert await store.load() == SOME
    assert "sign_in_not_kept" in [event["event"] for event in logs]


@pytest.mark.parametrize("damage", ["", "{", '{"tokens": 5, "very-secret": 1}'])
async def test_a_damaged_file_is_no_credentials_and_its_text_is_not_logged(tmp_path: Path, damage: str) -> None:
    file = FileVault(tmp_path / "far.json")
    file.write(damage)
    with capture_logs() as logs:
        assert await CredentialStore("far", [file]).load() == Credentials()
    assert [event["event"] for event in logs] == ["credentials_ignored"]
    assert "very-secret" not in str(logs)


def test_credentials_show_no_secret() -> None:
    assert "secret" not in repr(SOME)


async def test_the_keyring_package_is_used_where_it_has_a_back_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyring: Any = pytest.importorskip("keyring")
    drawer = Drawer()

    class Backend(keyring.backend.KeyringBackend):
        priority = 5

        def get_password(self, service: str, username: str) -> str | None:
            return drawer.get_password(service, username)

        def set_password(self, service: str, username: str, password: str) -> None:
            drawer.set_password(service, username, password)

        def delete_password(self, service: str, username: str) -> None:
            drawer.delete_password(service, username)

    before = keyring.get_keyring()
    keyring.set_keyring(Backend())
    try:
        await credential_store("far", "https://example.org/mcp", tmp_path).save(SOME)
    finally:
        keyring.set_keyring(before)
    assert len(drawer.kept) == 1
    assert not (tmp_path / "sign-ins").exists()
