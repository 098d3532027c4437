"""The first sign-in: how it is asked for, and that nothing else waits for it."""

from __future__ import annotations

import re
import socket
import stat
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import anyio
import pytest
from mcp.shared.auth import OAuthClientInformationFull
from pydantic import AnyUrl
from structlog.testing import capture_logs

from asyncfc_mcp.config.models import OAuthEntry, RemoteEntry
from asyncfc_mcp.downstream.outcome import DownstreamUnavailable
from asyncfc_mcp.downstream.sign_in.auth import SignIn
from asyncfc_mcp.downstream.sign_in.credentials import CredentialStore
from asyncfc_mcp.downstream.status import ConnectionState
from tests.downstream.support import connected, entry, odd, reached, running
from tests.downstream.test_modern_servers import free_port, serving
from tests.sign_in.house import Kind, browse, opened
from tests.sign_in.support import address, echo, far, ready, refusal, sign_in, signed_in

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("kind", ["http", "json", "sse"])
async def test_a_call_succeeds_after_the_user_has_been_to_the_address(kind: Kind) -> None:
    with anyio.fail_after(60):
        async with opened(kind) as house, signed_in(house) as pool:
            assert await echo(pool, "in") == "in"
            assert len(house.authority.clients) == 1


@pytest.mark.parametrize("kind", ["http", "sse"])
async def test_a_call_before_that_fails_at_once_and_names_the_address(kind: Kind) -> None:
    with anyio.fail_after(60):
        async with opened(kind) as house, running([far(house)]) as pool:
            url = await address(pool)
            words = await refusal(pool)
            assert f"it needs you to sign in: {url}; the call was not sent" in words
            assert await address(pool) == url


async def test_calls_while_the_user_is_awaited_never_have_the_server_given_up() -> None:
    with anyio.fail_after(60):
        async with opened() as house, running([far(house, restart_limit=2)]) as pool:
            url = await address(pool)
            for _ in range(5):
                assert f"it needs you to sign in: {url}; the call was not sent" in await refusal(pool)
            await sign_in(pool)
            assert await echo(pool, "in") == "in"


async def test_other_servers_go_on_meanwhile() -> None:
    with anyio.fail_after(60):
        async with opened() as house, running([far(house), odd()]) as pool:
            await address(pool)
            assert (await pool.connection("odd").call_tool("echo", {"text": "on"})).text is not None


async def test_the_address_is_logged_once_and_no_secret_ever(tmp_path: Path) -> None:
    with capture_logs() as logs, anyio.fail_after(60):
        async with opened() as house, running([far(house)], state_folder=tmp_path) as pool:
            url = await address(pool)
            for _ in range(3):
                await refusal(pool)
            await sign_in(pool)
            secrets = [*house.authority.tokens, *house.authority.renewable]
    needed = [event for event in logs if event["event"] == "sign_in_needed"]
    assert [(event["server"], event["url"]) for event in needed] == [("far", url)]
    assert str(logs).count(url) == 1
    assert secrets
    assert not [secret for secret in secrets if secret in str(logs)]


async def test_the_address_asks_for_a_code_with_a_challenge_for_this_very_server() -> None:
    with anyio.fail_after(60):
        async with opened() as house, running([far(house)]) as pool:
            query = parse_qs(urlsplit(await address(pool)).query)
    assert query["code_challenge_method"] == ["S256"]
    assert query["resource"] == [house.url]
    assert query["scope"] == ["use"]
    assert query["redirect_uri"][0].startswith("http://127.0.0.1:")


async def test_configured_scopes_are_asked_for() -> None:
    with anyio.fail_after(60):
        async with opened() as house, signed_in(house, oauth=OAuthEntry(scopes=("use", "more"))):
            assert house.authority.scopes_asked == [["use", "more"]]


async def test_a_right_that_turns_out_to_lack_is_asked_for_on_top() -> None:
    with anyio.fail_after(60):
        async with opened() as house, running([far(house, oauth=OAuthEntry(scopes=("more",)))]) as pool:
            first = await address(pool)
            await browse(first)
            while (second := await address(pool)) == first:
                await anyio.lowlevel.checkpoint()
            await browse(second)
            await ready(pool)
            assert house.authority.scopes_asked == [["more"], ["more", "use"]]


async def test_a_sign_in_that_nobody_comes_to_ends_and_is_offered_again() -> None:
    with capture_logs() as logs, anyio.fail_after(60):
        async with opened() as house, anyio.create_task_group() as tasks:
            server = far(house)
            asking = SignIn("far", house.url, OAuthEntry(), CredentialStore("far", []), limit_s=0.5)
            await tasks.start(asking.run)
            async with connected(server, sign_in=asking) as connection:
                seen: set[str] = set()
                while len(seen) < 2:
                    with pytest.raises(DownstreamUnavailable) as raised:
                        await connection.call_tool("echo", {"text": ""})
                    seen |= set(re.findall(r"sign in: (\S+);", str(raised.value)))
                assert len(house.authority.clients) == 1
            tasks.cancel_scope.cancel()
    failed = [event["why"] for event in logs if event["event"] == "sign_in_failed"]
    assert failed[0] == "nobody signed in within 0.5 s"


async def test_a_redirect_port_that_is_taken_is_named() -> None:
    with socket.socket() as taken, anyio.fail_after(60):
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        oauth = OAuthEntry(redirect_uri=f"http://127.0.0.1:{port}/callback")
        async with opened() as house, running([far(house, oauth=oauth)]) as pool:
            await reached(pool.connection("far"), ConnectionState.FAILED)
            assert f"needs port {port} on this machine, and that is taken" in (
                pool.connection("far").status.message or ""
            )


async def test_a_client_registered_by_hand_is_not_registered_again() -> None:
    with anyio.fail_after(60):
        async with opened() as house:
            uri = f"http://127.0.0.1:{free_port()}/callback"
            by_hand = OAuthClientInformationFull(
                client_id="by-hand",
                client_secret="hush-hush",
                redirect_uris=[AnyUrl(uri)],
                scope="use",
                token_endpoint_auth_method="client_secret_basic",
            )
            await house.authority.register_client(by_hand)
            oauth = OAuthEntry(client_id="by-hand", client_secret="hush-hush", redirect_uri=uri)
            async with signed_in(house, oauth=oauth) as pool:
                house.authority.forget_tokens()
                assert await echo(pool, "known") == "known"
            assert list(house.authority.clients) == ["by-hand"]


async def test_a_refused_sign_in_is_offered_again() -> None:
    with capture_logs() as logs, anyio.fail_after(60):
        async with opened() as house, running([far(house)]) as pool:
            house.authority.consents = False
            first = await address(pool)
            assert "refused" in (await browse(first)).text
            house.authority.consents = True
            while first in (words := await refusal(pool)):
                await anyio.lowlevel.checkpoint()
            assert "it needs you to sign in: " in words
            await sign_in(pool)
    failed = [event["why"] for event in logs if event["event"] == "sign_in_failed"]
    assert failed == ["its sign-in was refused (access_denied)"]


async def test_a_visitor_with_another_state_is_turned_away() -> None:
    with anyio.fail_after(60):
        async with opened() as house, running([far(house)]) as pool:
            query = parse_qs(urlsplit(await address(pool)).query)
            visit = await browse(f"{query['redirect_uri'][0]}?code=stolen&state=guessed")
            assert visit.status_code == 404
            await sign_in(pool)


async def test_the_receiver_lives_only_while_a_sign_in_is_under_way() -> None:
    with anyio.fail_after(60):
        async with opened() as house, running([far(house)]) as pool:
            port = urlsplit(parse_qs(urlsplit(await address(pool)).query)["redirect_uri"][0]).port
            await sign_in(pool)
            with pytest.raises(OSError, match=r".+"):
                await anyio.connect_tcp("127.0.0.1", port or 0)


async def test_a_configured_redirect_is_used() -> None:
    uri = f"http://localhost:{free_port()}/back"
    with anyio.fail_after(60):
        async with opened() as house, running([far(house, oauth=OAuthEntry(redirect_uri=uri))]) as pool:
            assert parse_qs(urlsplit(await address(pool)).query)["redirect_uri"] == [uri]
            await sign_in(pool)


async def test_a_server_that_offers_no_sign_in_says_what_to_do() -> None:
    port = free_port()
    with anyio.fail_after(60):
        async with serving("refusing", port):
            plain = entry("far", RemoteEntry(url=f"http://127.0.0.1:{port}/mcp"))
            async with running([plain]) as pool:
                await reached(pool.connection("far"), ConnectionState.FAILED)
                message = pool.connection("far").status.message or ""
    assert re.match(r"it answered HTTP 401 and offers no way to sign in; give it a header", message)
    assert str(port) not in message


async def test_a_static_header_is_all_that_is_tried() -> None:
    with anyio.fail_after(60):
        async with opened() as house, running([far(house, headers={"authorization": "Bearer mine"})]) as pool:
            await reached(pool.connection("far"), ConnectionState.WAITING)
            message = pool.connection("far").status.message
            assert not house.authority.clients
    assert message == "it answered HTTP 401 Unauthorized; it does not take the credentials in its entry"


async def test_the_next_start_needs_no_sign_in(tmp_path: Path) -> None:
    with anyio.fail_after(60):
        async with opened() as house:
            async with signed_in(house, tmp_path):
                pass
            async with running([far(house)], state_folder=tmp_path) as pool:
                await ready(pool)
                assert await echo(pool, "still in") == "still in"
            assert len(house.authority.scopes_asked) == 1


async def test_what_is_kept_is_for_its_owner_alone(tmp_path: Path) -> None:
    with anyio.fail_after(60):
        async with opened() as house, signed_in(house, tmp_path):
            [file] = (tmp_path / "sign-ins").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


async def test_another_address_under_the_same_key_gets_no_tokens_of_the_first(tmp_path: Path) -> None:
    with anyio.fail_after(60):
        async with opened() as house, opened() as other:
            async with signed_in(house, tmp_path):
                pass
            async with running([far(other)], state_folder=tmp_path) as pool:
                await address(pool)


async def test_a_sign_in_by_another_process_is_taken_over(tmp_path: Path) -> None:
    with anyio.fail_after(60):
        async with opened() as house, running([far(house)], state_folder=tmp_path) as pool:
            await address(pool)
            async with running([far(house)], state_folder=tmp_path) as other:
                await sign_in(other)
            assert await echo(pool, "me too") == "me too"
