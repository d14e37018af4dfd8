"""`scopegate serve` as a user meets it: what it says, how it stops, what it leaves behind."""

import asyncio
import contextlib
import os
import pty
import re
import signal
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from scopegate.gateway.calls import token_form
from scopegate.handlers.exchange.exchange_scopes import SCOPES
from tests import stores
from tests.incubator import INTERPRETER
from tests.served import Served, fetch, scopegate, serving, unverified


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One that nobody stops or writes to the database of."""
    with serving(tmp_path_factory.mktemp("serve")) as running:
        yield running


async def test_the_first_lines_say_where_it_is_and_whom_to_be(gateway: Served) -> None:
    where, page, *accounts, token = gateway.lines
    found = re.fullmatch(r"listening on ws://(127\.0\.0\.1:[0-9]+)/websockets/v3", where)
    assert found is not None, where
    assert page == f"page         http://{found[1]}/"
    assert accounts == [
        "account      VRTC9000001  10000.00 USD  (demo)",
        "account      CR900001  10000.00 USD  (real-style, paper money)",
        "account      CR900002  10000.00 USD  (real-style, paper money)",
    ]
    words, _, meaning = token.partition("  (")
    assert words.split() == ["token", gateway.token]
    assert meaning == "demo account, all scopes, until the next start)"
    assert token_form.well_formed(gateway.token)

    status, kind, body = await asyncio.to_thread(fetch, gateway.page)
    assert (status, kind) == (200, "text/html")
    assert b"</html>" in body
    async with gateway.connected() as client:
        signed_in = await client.authorize(gateway.token)
        assert signed_in["loginid"] == gateway.loginids[0]
        assert signed_in["scopes"] == list(SCOPES)
        assert {account["loginid"] for account in signed_in["account_list"]} == set(
            gateway.loginids
        )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_stops_when_asked_and_says_goodbye(served: Served, number: int) -> None:
    told = len(served.lines)
    async with served.connected() as client:
        await client.ask({"ping": 1})
        code = await asyncio.to_thread(served.stop, number)
        assert await client.ended() == (1012, "the gateway is shutting down")
    assert code == 0
    assert served.stderr == ""
    assert len(served.lines) == told
    # What SQLite keeps beside an open database is gone: the one file can be copied away.
    left = {path.name for path in served.folder.iterdir()}
    files = set() if stores.ON_POSTGRESQL else {"scopegate.db", "scopegate.db-lock"}
    assert left == {*files, "stderr.txt"}


async def test_a_demo_token_ends_with_the_next_start(served: Served) -> None:
    first = served.token
    async with served.connected() as client:
        await client.authorize(first)
    served.stop()
    served.start()
    assert served.token != first
    async with served.connected() as client:
        assert await client.refused({"authorize": first}) == "InvalidToken"
        await client.authorize(served.token)
        assert await client.refused({"authorize": first}) == "InvalidToken"


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--host", "0.0.0.0"),  # noqa: S104 - as an operator would
        ("--trusted-proxy", "127.0.0.1/32"),
        ("--allowed-host", "a.example"),
    ],
)
async def test_children_of_a_demo_token_end_with_every_start(
    served: Served, options: tuple[str, ...]
) -> None:
    """Also with a start that others can reach, and that offers no demo user."""

    def text_of(reply: dict[str, Any]) -> str:
        [text] = [
            str(row["token"])
            for row in reply["api_token"]["tokens"]
            if token_form.well_formed(row["token"])
        ]
        return text

    asked = {"api_token": 1, "new_token_scopes": ["read", "admin"]}
    async with served.connected() as client:
        await client.authorize(served.token)
        child = text_of(await client.ask(asked | {"new_token": "Child"}))
        opened = await client.ask({"new_account_real": 1, "currency": "USD"})
        beside = opened["new_account_real"]["oauth_token"]
        await client.authorize(child)
        grandchild = text_of(await client.ask(asked | {"new_token": "Grandchild"}))
    async with served.connected(origin=served.page.rstrip("/")) as page:
        accounts = (await page.ask({"sign_in_demo": 1}))["sign_in_demo"]["accounts"]
        await page.authorize(accounts[0]["token"])
        own = text_of(await page.ask(asked | {"new_token": "Own"}))
    ended = [served.token, child, grandchild, beside]
    served.stop()
    served.options += options
    served.start(last="page" if options else "token")  # others get no demo user
    port = urlsplit(served.url).port
    served.url = f"ws://127.0.0.1:{port}/websockets/v3"
    async with served.connected() as client:
        for text in ended:
            assert await client.refused({"authorize": text}) == "InvalidToken"
        await client.authorize(own)
    # So is a sign-in without a password, where there is none to be had any more.
    async with served.connected(origin=f"http://127.0.0.1:{port}") as page:
        reply = await page.ask({"authorize": accounts[0]["token"]})
        assert ("error" in reply) == bool(options)


@pytest.mark.sqlite
async def test_no_token_is_ever_written_down(served: Served) -> None:
    made = [served.token, command_token(served)]
    async with served.connected() as client:
        for token in made:
            await client.authorize(token)
            # Wherever a client may put it by mistake, and is told that it is wrong there.
            await client.ask({"ping": 1, "passthrough": {token: [token]}})
            await client.ask({"ticks": token})
            await client.ask({token: 1})
        await client.authorize(served.token)
        reply = await client.ask(
            {"api_token": 1, "new_token": "Wire", "new_token_scopes": ["read"]}
        )
        made += [
            row["token"]
            for row in reply["api_token"]["tokens"]
            if token_form.well_formed(row["token"])
        ]
        await client.authorize(made[-1])
        await client.ask({"login_history": 1})  # writes what was remembered of the uses so far
    assert len(set(made)) == 3

    def written() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in served.folder.iterdir()}

    serving = written()
    assert {"scopegate.db", "scopegate.db-wal", "stderr.txt"} <= serving.keys()
    served.stop()
    stopped = written()
    for token in made:
        assert token_form.masked(token).encode() in stopped["scopegate.db"]
        for files in (serving, stopped):
            holding = [name for name, content in files.items() if token.encode() in content]
            assert holding == []


def command_token(served: Served) -> str:
    return served.command(
        "token", "create", "--loginid", "CR900001", "--scopes", "read,admin", "--name", "Line"
    )


@pytest.mark.sqlite
def test_the_database_is_for_its_owner_alone(gateway: Served) -> None:
    modes = {
        path.name.removeprefix("scopegate.db"): oct(stat.S_IMODE(path.stat().st_mode))
        for path in gateway.folder.glob("scopegate.db*")
    }
    assert modes == dict.fromkeys(("", "-wal", "-shm", "-lock"), oct(0o600))


@pytest.mark.lengthy
async def test_the_seed_of_a_market_is_random_and_never_shown(tmp_path: Path) -> None:
    """Anyone who knows it knows every future price."""
    with Served(tmp_path) as served:
        with stores.snapshot(served.db) as db:
            row = db.execute("SELECT value FROM meta WHERE name = 'seed'", []).fetchone()
        seed: str = row[0]
        assert len(bytes.fromhex(seed)) == 32
        requests: tuple[dict[str, Any], ...] = (
            {"website_status": 1},
            {"get_settings": 1},
            {"active_symbols": "full"},
            {"ticks_history": "R_100", "end": "latest", "count": 10},
            {"seed": 1},
        )
        async with served.connected() as client:
            await client.authorize(served.token)
            replies = [str(await client.ask(request)) for request in requests]
        pages = [
            (await asyncio.to_thread(fetch, f"{served.page}{path}"))[2].decode()
            for path in ("", "asyncapi.json", "explorer")
        ]
        served.stop()
    shown = [*served.lines, *replies, *pages, served.stderr]
    assert not [text for text in shown if seed in text]


@pytest.mark.sqlite
async def test_a_database_has_one_gateway(gateway: Served) -> None:
    """Two would not hear of each other's revocations."""
    second = await asyncio.to_thread(
        lambda: scopegate(
            *("serve", "--port", "0", *stores.serve_options(gateway.db)),
            folder=gateway.folder,
            patience=20,
        )
    )
    assert second.returncode == 1
    assert second.stdout == ""
    assert second.stderr == (
        f"Error: another gateway is serving the database {stores.at(gateway.db)}\n"
    )
    async with gateway.connected() as client:
        # The attempt has not ended the token of the one that serves.
        await client.authorize(gateway.token)


async def test_letters_stand_in_the_log_where_there_is_no_mail_server(served: Served) -> None:
    async with served.connected() as client:
        asked = {"verify_email": "ada@example.com", "type": "account_opening"}
        assert (await client.ask(asked))["verify_email"] == 1
        [code] = re.findall(r"\b[a-z2-9]{16}\b", served.stderr)
        reply = await client.ask(
            {
                "new_account_virtual": 1,
                "client_password": "Corr3ct horse",
                "residence": "gb",
                "verification_code": code,
            }
        )
        assert reply["new_account_virtual"]["email"] == "ada@example.com"
    assert served.stop() == 0
    # One letter, and not a word of what was done with it.
    assert len(served.stderr.strip().splitlines()) == 1
    assert "to=ada@example.com" in served.stderr


async def test_letters_are_not_logged_when_others_can_connect_unless_asked_for(
    served: Served,
) -> None:
    asked = {"verify_email": "ada@example.com", "type": "account_opening"}
    public = ("--host", "0.0.0.0")  # noqa: S104 - as an operator would
    for options in (public, ("--trusted-proxy", "127.0.0.1/32"), ("--allowed-host", "a.example")):
        served.stop()
        served.options = ("--seed", "tests", "--demo", *options)
        served.start()
        served.url = served.url.replace("0.0.0.0", "127.0.0.1")  # noqa: S104
        async with served.connected() as client:
            error = (await client.ask(asked))["error"]
            assert error["code"] == "MailServerNeeded"
            assert "smtp_host" in error["message"]
            assert "log_letters" in error["message"]
    assert served.stderr == ""
    served.stop()
    served.options += ("--log-letters",)
    served.start()
    async with served.connected() as client:
        assert (await client.ask(asked))["verify_email"] == 1
    assert len(re.findall(r"\b[a-z2-9]{16}\b", served.stderr)) == 1


@pytest.mark.lengthy
@pytest.mark.parametrize("tls", [False, True], ids=["in the clear", "over TLS"])
async def test_silent_sockets_never_use_up_the_files_of_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, tls: bool
) -> None:
    options = ["--tls-self-signed"] if tls else []
    how = {"ssl": unverified()} if tls else {}
    with_few_files = ("sh", "-c", 'ulimit -n 128 && exec "$@"', "sh", *INTERPRETER)
    monkeypatch.setattr(Served, "program", with_few_files)
    with (
        Served(tmp_path, "--seed", "tests", *options) as served,
        contextlib.ExitStack() as stack,
    ):
        where = urlsplit(served.url)
        for _ in range(200):
            stack.enter_context(socket.create_connection((where.hostname, where.port)))
        async with contextlib.AsyncExitStack() as clients:
            connected = [
                await clients.enter_async_context(served.connected(**how)) for _ in range(20)
            ]
            for client in connected:
                assert (await client.ask({"ping": 1}))["ping"] == "pong"
        assert served.stop() == 0
    # Logged once, and nothing else: every file could be opened.
    (warning,) = served.stderr.splitlines()
    assert "all sockets are in use" in warning


@pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=pytest.mark.sqlite)])
async def test_it_stops_when_its_terminal_is_closed(tmp_path: Path, workers: str) -> None:
    ours, theirs = pty.openpty()
    served = Served(tmp_path, "--workers", workers)
    served.stdin = theirs
    try:
        with served:
            async with served.connected() as client:
                await client.ask({"ticks": "R_100", "subscribe": 1})
                assert await asyncio.to_thread(served.stop, signal.SIGHUP) == 0
                assert (await client.ended())[0] == 1012
    finally:
        os.close(ours)
        os.close(theirs)
