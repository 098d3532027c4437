"""What of an entry is hidden in what its server says."""

from __future__ import annotations

from base64 import b64encode
from urllib.parse import quote

import pytest

from asyncfc_mcp.config.models import RemoteEntry, StdioEntry
from asyncfc_mcp.downstream.links.secrets import Secrets, given_to

SECRET = "hush/5f1c9+z"


@pytest.mark.parametrize(
    "transport",
    [
        StdioEntry(command="x", env={"ANY_NAME": SECRET}),
        StdioEntry(command="x", args=(f"--api-key={SECRET}",)),
        StdioEntry(command="x", args=("--token", SECRET)),
        StdioEntry(command="docker", args=("run", "-e", f"API_KEY={SECRET}", "image")),
        StdioEntry(command="docker", args=("run", f"--env=API_KEY={SECRET}", "image")),
        StdioEntry(command="npx", args=("mcp-remote", "https://h/mcp", "--header", f"Authorization: Bearer {SECRET}")),
        StdioEntry(command=f"x --password={SECRET}"),
        StdioEntry(command="x", args=(f"postgres://ann:{quote(SECRET, safe='')}@db/all",)),
        StdioEntry(command="x", env={"DATABASE_URL": f"postgres://ann:{quote(SECRET, safe='')}@db/all"}),
        RemoteEntry(url=f"https://h/mcp?api_key={quote(SECRET, safe='')}"),
        RemoteEntry(url="https://h/mcp", headers={"Authorization": f"Bearer {SECRET}"}),
    ],
)
def test_a_secret_is_hidden_wherever_the_entry_gives_it(transport: StdioEntry | RemoteEntry) -> None:
    hidden = Secrets(given_to(transport)).hidden_in(f"Error: {SECRET}!".encode())
    assert hidden == b"Error: (hidden)!"


@pytest.mark.parametrize("form", [quote(SECRET, safe=""), quote(SECRET), b64encode(SECRET.encode()).decode()])
def test_a_secret_is_hidden_as_it_stands_in_addresses_and_in_base64(form: str) -> None:
    hidden = Secrets(given_to(StdioEntry(command="x", env={"KEY": SECRET}))).hidden_in(f"<{form}>".encode())
    assert b"hush" not in hidden
    assert form[:8].encode() not in hidden


def test_words_that_are_no_secrets_stay() -> None:
    words = ("-y", "@scope/server-filesystem", "/data/projects", "--token-file", "/etc/token-of-mine", "--port=123456")
    said = b"listening on 123456, serving /data/projects with /etc/token-of-mine"
    assert Secrets(given_to(StdioEntry(command="npx", args=words))).hidden_in(said) == said
