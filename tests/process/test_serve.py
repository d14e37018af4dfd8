"""`scopegate serve` as a user meets it: what it says, how it stops, what it leaves behind."""

import asyncio
import re
import signal
import stat
from collections.abc import Iterator

import pytest

from gateway import token_form
from schemas.scopes import ALL_SCOPES, in_order
from tests.served import Served, fetch, scopegate, serving


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
        assert signed_in["scopes"] == list(in_order(ALL_SCOPES))
        assert {account["loginid"] for account in signed_in["account_list"]} == set(
            gateway.loginids
        )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_stops_when_asked_and_says_goodbye(served: Served, number: int) -> None:
    told = len(served.lines)
    async with served.connected() as client:
        await client.ask({"ping": 1})
        code = await asyncio.to_thread(served.stop, number)
        assert await client.ended() == (1001, "the gateway is shutting down")
    assert code == 0
    assert served.stderr == ""
    assert len(served.lines) == told
    # What SQLite keeps beside an open database is gone: the one file can be copied away.
    left = {path.name for path in served.folder.iterdir()}
    assert left == {"scopegate.db", "scopegate.db-lock", "stderr.txt"}


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


def test_the_database_is_for_its_owner_alone(gateway: Served) -> None:
    modes = {
        path.name.removeprefix("scopegate.db"): oct(stat.S_IMODE(path.stat().st_mode))
        for path in gateway.folder.glob("scopegate.db*")
    }
    assert modes == dict.fromkeys(("", "-wal", "-shm", "-lock"), oct(0o600))


async def test_a_database_has_one_gateway(gateway: Served) -> None:
    """Two would not hear of each other's revocations."""
    second = await asyncio.to_thread(
        lambda: scopegate(
            "serve", "--port", "0", "--db", str(gateway.db), folder=gateway.folder, patience=20
        )
    )
    assert second.returncode == 1
    assert second.stdout == ""
    assert second.stderr == f"Error: another gateway serves the database {gateway.db}\n"
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
