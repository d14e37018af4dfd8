"""The command line beside a gateway that serves: what it changes reaches live connections.

Each test has a user of its own in the one gateway of this file.
"""

import asyncio
import calendar
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from click.testing import CliRunner

from scopegate.commands.fault import fault as fault_group
from scopegate.commands.user import user as user_group
from scopegate.exchange import agents, exclusion, ledger
from scopegate.gateway.access import app_secrets, apps, tokens, users
from scopegate.gateway.calls import token_form
from scopegate.gateway.calls.errors import ENDED_BY_OPERATOR
from scopegate.handlers.exchange.exchange_scopes import ADMIN, READ
from scopegate.handlers.exchange.feed_faults import MarketFaultKinds
from scopegate.store.transactions import Transaction
from tests import stores
from tests.incubator import INTERPRETER
from tests.served import SCRIPT, Served, SocketClient, scopegate, serving
from tests.stores import run_once

BUY = {
    "basis": "stake",
    "contract_type": "CALL",
    "currency": "USD",
    "symbol": "1HZ100V",
    "duration": 1,
    "duration_unit": "h",
}
SOON = 2.0
"""Real seconds within which a live connection must feel what a command has done."""


@dataclass(frozen=True)
class Person:
    email: str
    real: str
    demo: str


def person(transaction: Transaction, name: str) -> Person:
    """A user, made as `user create` makes one."""
    email = f"{name}@example.com"
    user_id = users.create(transaction, email)
    ledger.open_with_balance(transaction, user_id, virtual=(True, False), at=time.time())
    real, demo = ledger.accounts(transaction, user_id)
    return Person(email, real.loginid, demo.loginid)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("commands")) as served:
        yield served


@pytest.fixture(scope="module")
def people(gateway: Served) -> Iterator[Person]:
    """Users of whom the gateway has heard, so that no news of their making is on its way."""

    async def made() -> list[Person]:
        async with watching(gateway, gateway.token) as client:
            found = [
                run_once(gateway.db, partial(person, name=f"ada{number}")) for number in range(30)
            ]
            # Changes are applied in their order: with this one the others are known.
            await command(
                gateway, "account", "credit", "--loginid", gateway.loginids[0], "--amount", "1"
            )
            await soon(client)
        return found

    return iter(asyncio.run(made()))


@pytest.fixture
def ada(people: Iterator[Person]) -> Person:
    """A user of this test's own."""
    return next(people)


async def command(gateway: Served, *arguments: str) -> str:
    """Run a command while this test's clients go on reading."""
    return await asyncio.to_thread(gateway.command, *arguments)


def token(gateway: Served, loginid: str, name: str) -> str:
    """A token that reads, made as `token create` makes one but without waiting for it."""
    return run_once(
        gateway.db,
        lambda transaction: tokens.create(transaction, tokens.NewToken(loginid, name, {READ})),
    )


@asynccontextmanager
async def watching(gateway: Served, text: str) -> AsyncIterator[SocketClient]:
    """A client that is signed in with this token and follows its balance."""
    async with gateway.connected() as client:
        await client.authorize(text)
        await client.ask({"balance": 1, "subscribe": 1})
        yield client


async def soon(client: SocketClient) -> dict[str, Any]:
    async with asyncio.timeout(SOON):
        return await client.next()


async def is_signed_out(client: SocketClient) -> None:
    """Its stream ends with `InvalidToken`; the connection lives, and acts for nobody."""
    told = await soon(client)
    assert told["error"]["code"] == "InvalidToken"
    assert told["msg_type"] == "balance"
    assert await client.refused({"balance": 1}) == "AuthorizationRequired"
    assert (await client.ask({"ping": 1}))["ping"] == "pong"


async def is_locked_out(client: SocketClient) -> None:
    """Its stream ends with `InvalidToken`, and then the connection."""
    assert (await soon(client))["error"]["code"] == "InvalidToken"
    assert (await client.ended())[0] == ENDED_BY_OPERATOR


# Tokens.


async def test_a_token_is_printed_alone_and_works_at_once(gateway: Served, ada: Person) -> None:
    done = await asyncio.to_thread(
        lambda: scopegate(
            *("token", "create", *stores.option(gateway.db), "--loginid", ada.real),
            *("--scopes", "trade,read", "--name", "Bot"),
            folder=gateway.folder,
            program=SCRIPT,
        )
    )
    assert (done.returncode, done.stderr) == (0, "")
    text = done.stdout.removesuffix("\n")
    assert token_form.well_formed(text)
    async with gateway.connected() as client:
        signed_in = await client.authorize(text)
        assert signed_in["loginid"] == ada.real
        assert signed_in["email"] == ada.email
        assert signed_in["scopes"] == ["read", "trade"]


async def test_a_token_is_restricted_and_rotated(gateway: Served, ada: Person) -> None:
    create = ("token", "create", "--loginid", ada.demo, "--scopes", "read,trade", "--name", "Bot")
    caps = ("--max-stake", "5", "--max-loss-day", "50", "--symbol", "1HZ100V", "--expires", "30d")
    text = await command(gateway, *create, *caps)
    buy = {"buy": "1", "price": 10, "parameters": {**BUY, "amount": 5}}
    async with watching(gateway, text) as bot:
        assert "error" not in await bot.ask(buy)
        assert (await soon(bot))["msg_type"] == "balance"
        bot_shown = (await bot.ask({"token_restrictions": 1}))["token_restrictions"]
        assert 29.9 < (bot_shown["expires_at"] - time.time()) / 86_400 <= 30
        assert bot_shown["in_force"][0]["restrictions"] == {
            "symbols": ["1HZ100V"],
            "max_stake": 5.0,
            "max_loss_per_day": 50.0,
        }
        listed = await command(gateway, "token", "list", "--loginid", ada.demo)
        assert "max_stake 5.0; max_loss_per_day 50.0; symbols 1HZ100V" in listed
        masked = token_form.masked(text)
        await command(gateway, "token", "restrict", masked, "--max-stake", "4.5")
        assert await bot.refused(buy) == "TokenCapReached"
        await command(gateway, "token", "restrict", masked, "--expires", "10d")
        bot_shown = (await bot.ask({"token_restrictions": 1}))["token_restrictions"]
        assert 9.9 < (bot_shown["expires_at"] - time.time()) / 86_400 <= 10
        assert bot_shown["in_force"][0]["restrictions"] == {"max_stake": 4.5}
        rotated = await command(gateway, "token", "rotate", masked)
        await is_signed_out(bot)  # further wrong tokens would count for the address
        await bot.authorize(rotated)
        assert await bot.refused(buy) == "TokenCapReached"


@pytest.mark.parametrize(
    ("option", "value", "problem"),
    [
        ("--max-stake", "five", "--max-stake: Must be a number."),
        ("--network", "300.1.1.1", "--network: Must be an IP address, or a network"),
        ("--symbol", "R_99", "--symbol: There is no R_99"),
    ],
)
async def test_an_invalid_restriction_names_its_option(
    gateway: Served, option: str, value: str, problem: str
) -> None:
    loginid = gateway.loginids[0]
    done = await asyncio.to_thread(
        lambda: scopegate(
            *("token", "create", *stores.option(gateway.db), "--loginid", loginid),
            *("--scopes", "read", "--name", "Invalid", option, value),
            folder=gateway.folder,
        )
    )
    assert done.returncode == 1
    assert problem in done.stderr


async def test_a_fault_begins_and_ends_on_live_connections(gateway: Served, ada: Person) -> None:
    text = token(gateway, ada.demo, "Faulty")
    async with watching(gateway, text) as bot:
        start = ("fault", "start", "rate_limit", "call=ping", "times=0", "--token", text)
        number = (await command(gateway, *start)).strip()
        await until_answered(bot, "RateLimit")
        listed = await command(gateway, "fault", "list")
        [row] = [line for line in listed.splitlines() if line.startswith(f"{number} ")]
        assert "rate_limit times=0 call=ping" in row
        assert row.split()[-2:] == [token_form.masked(text), "Faulty"]
        assert text not in listed
        await command(gateway, "fault", "end", number)
        await until_answered(bot, "ok")


def test_the_kinds_of_faults_are_listed_with_their_options() -> None:
    listed = CliRunner().invoke(fault_group, ["kinds"]).stdout
    for kind in MarketFaultKinds().kinds:
        assert f"\n{kind.kind}: {kind.sentence()}\n" in f"\n{listed}"
    assert "    milliseconds [200]: How much later, in real time.\n" in listed


async def until_answered(client: SocketClient, code: str) -> None:
    """Ping until the answer is an error of this code, or `ok`."""
    async with asyncio.timeout(SOON):
        while (await client.ask({"ping": 1})).get("error", {}).get("code", "ok") != code:
            pass


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("explode", "--token", "DEMO"), "There is no fault 'explode'. There are: latency,"),
        (("drop", "after=bye", "--token", "DEMO"), "There is no call bye."),
        (("spike", "symbol=NONE", "--token", "DEMO"), "symbol: There is no symbol NONE."),
        (("drop", "--token", "DEMO"), "Give before or after, with the name of a call"),
        (("latency", "--token", "REAL"), "only demo accounts can have faults"),
        (("latency", "--token", "999"), "there is no such token"),
        (("latency", "--app", "1089", "--email", "EMAIL"), "app 1089 is not connected to"),
        (("latency", "--app", "1089"), "give --app and --email together"),
        (("latency",), "give --token or --app"),
    ],
)
async def test_an_invalid_fault_is_refused_with_what_there_is(
    gateway: Served, ada: Person, arguments: tuple[str, ...], words: str
) -> None:
    given = {
        "DEMO": token(gateway, ada.demo, "Demo") if "DEMO" in arguments else "",
        "REAL": token(gateway, ada.real, "Real") if "REAL" in arguments else "",
        "EMAIL": ada.email,
    }
    done = await asyncio.to_thread(
        lambda: scopegate(
            *("fault", "start", *stores.option(gateway.db)),
            *(given.get(each, each) for each in arguments),
            folder=gateway.folder,
        )
    )
    assert done.returncode != 0
    assert words in done.stderr


async def test_a_revoked_token_ends_on_live_connections(gateway: Served, ada: Person) -> None:
    """By its number, by its masked text as the list shows both, and by its whole text."""
    texts = {name: token(gateway, ada.demo, name) for name in ("Number", "Masked", "Whole", "Kept")}
    listed = await command(gateway, "token", "list", "--loginid", ada.demo)
    heading, *rows = (line.split() for line in listed.splitlines())
    assert heading[:5] == ["number", "loginid", "name", "scopes", "token"]
    assert [row[1:5] for row in rows] == [
        [ada.demo, name, "read", token_form.masked(text)] for name, text in texts.items()
    ]
    ways = {"Number": rows[0][0], "Masked": rows[1][4], "Whole": texts["Whole"]}

    async with watching(gateway, texts["Kept"]) as keeper:

        async def revoke(name: str, which: str) -> None:
            async with watching(gateway, texts[name]) as client:
                await command(gateway, "token", "revoke", which)
                await is_signed_out(client)
                assert await client.refused({"authorize": texts[name]}) == "InvalidToken"

        await asyncio.gather(*(revoke(name, which) for name, which in ways.items()))
        assert (await keeper.ask({"balance": 1}))["balance"]["loginid"] == ada.demo
        assert keeper.received == []


async def test_child_tokens_are_listed_and_end_with_their_parent(
    gateway: Served, ada: Person
) -> None:
    def root(name: str) -> str:
        return run_once(
            gateway.db,
            lambda transaction: tokens.create(
                transaction, tokens.NewToken(ada.real, name, {READ, ADMIN})
            ),
        )

    async def child(parent: str, name: str) -> str:
        async with gateway.connected() as client:
            await client.authorize(parent)
            request = {"api_token": 1, "new_token": name, "new_token_scopes": ["read"]}
            made = (await client.ask(request))["api_token"]["tokens"]
        [text] = [each["token"] for each in made if each["display_name"] == name]
        return str(text)

    revoked, disabled = await child(root("Root"), "Child"), await child(root("Other"), "Orphan")
    lines = await command(gateway, "token", "list", "--loginid", ada.real)
    heading, *rows = (line.split() for line in lines.splitlines())
    assert heading[5:7] == ["created", "with"]
    numbers = {row[2]: row[0] for row in rows}
    assert {row[2]: row[5] for row in rows if row[2] in ("Child", "Orphan")} == {
        "Child": numbers["Root"],
        "Orphan": numbers["Other"],
    }
    async with watching(gateway, revoked) as client, watching(gateway, disabled) as other:
        done = await asyncio.to_thread(
            lambda: scopegate(
                *("token", "revoke", numbers["Root"], *stores.option(gateway.db)),
                folder=gateway.folder,
            )
        )
        assert (done.returncode, done.stderr) == (0, "revoked, with 1 created with it\n")
        await is_signed_out(client)
        assert await client.refused({"authorize": revoked}) == "InvalidToken"
        await command(gateway, "user", "disable", "--email", ada.email)
        await is_locked_out(other)


async def test_the_operator_sees_what_a_token_was_used_for(gateway: Served, ada: Person) -> None:
    async with gateway.connected() as client:
        await client.authorize(token(gateway, ada.real, "Watched"))
        for _ in range(3):
            await client.ask({"balance": 1})
        await client.refused({"forget": "no stream"})
        await client.ask({"login_history": 1})  # what was counted until now is written
    [row] = run_once(gateway.db, lambda transaction: tokens.listed(transaction, ada.real))
    told = await command(gateway, "token", "uses", str(row.id))
    rows = [line.split()[:5] for line in told.splitlines()]
    assert rows[0] == ["call", "from", "times", "refused", "last"]
    assert ["balance", "127.0.0.1", "3", "0"] in [row[:4] for row in rows]
    assert ["authorize", "127.0.0.1", "1", "0"] in [row[:4] for row in rows]
    assert ["forget", "127.0.0.1", "1", "1", "InputValidationFailed"] in rows


# Users.


async def test_the_operator_sees_who_changed_what(gateway: Served, ada: Person) -> None:
    of = ("--loginid", ada.real, "--scopes", "read", "--name", "Bot")
    created = gateway.command("token", "create", *of)
    shown = gateway.command("audit", "--email", ada.email, "--limit", "1")
    header, record = shown.splitlines()
    assert header.split()[:2] == ["number", "at"]
    assert "token created" in record
    assert "command line" in record
    assert "name: Bot" in record
    assert created not in shown
    assert "ok" in next(line for line in gateway.command("check").splitlines() if "audit" in line)
    everything = gateway.command("audit", "--limit", "1000").splitlines()
    assert record.split()[0] == everything[-1].split()[0]  # newest last


async def test_the_name_of_a_token_adds_no_line_to_a_list(gateway: Served, ada: Person) -> None:
    token(gateway, ada.demo, "Bot\n999999  signed in")  # which clients may call one
    for arguments in (("token", "list", "--loginid", ada.demo), ("audit", "--email", ada.email)):
        shown = (await command(gateway, *arguments)).splitlines()
        assert any("Bot 999999 signed in" in line for line in shown)
        assert not any(line.startswith("999999") for line in shown)


def test_a_short_password_is_asked_for_again(tmp_path: Path) -> None:
    db = tmp_path / "users.db"
    run_once(db, lambda transaction: None)
    given = "short\nlong enough\nlong enough\n"
    answer = CliRunner().invoke(
        user_group, ["create", "--email", "ada@example.com", *stores.option(db)], input=given
    )
    assert answer.exit_code == 0, answer.output
    assert answer.output.count("at least 8 characters):") == 2
    assert "short" not in answer.output


async def test_a_user_is_created_and_locked_out(gateway: Served) -> None:
    created = await command(
        gateway, "user", "create", "--email", "grace@example.com", "--password", "correct horse"
    )
    real, demo = created.split()
    text, other = token(gateway, demo, "Bot"), token(gateway, real, "Bot")
    async with gateway.connected() as client:
        assert (await client.authorize(text))["country"] == "id"
    async with watching(gateway, text) as client, watching(gateway, other) as second:
        await command(gateway, "user", "disable", "--email", "grace@example.com")
        await is_locked_out(client)
        await is_locked_out(second)
    async with gateway.connected() as client:
        assert await client.refused({"authorize": text}) == "InvalidToken"
        await command(gateway, "user", "enable", "--email", "grace@example.com")
        await client.authorize(token(gateway, demo, "Bot"))


async def test_users_are_listed_with_their_accounts(gateway: Served, ada: Person) -> None:
    await command(gateway, "user", "disable", "--email", ada.email)

    def stored(transaction: Transaction) -> tuple[int, int, str]:
        row = users.by_email(transaction, ada.email)
        demo_user = users.demo(transaction)
        assert demo_user is not None
        since = f"disabled since {tokens.moment_text(row['disabled_at'])}"
        return row["id"], demo_user["id"], since

    number, demo_number, since = run_once(gateway.db, stored)
    heading, *lines = (await command(gateway, "user", "list")).splitlines()
    cells = ["number", "e-mail", "created (UTC)", "state", "loginids"]
    starts = [heading.index(cell) for cell in cells]
    rows = {
        int(line.split()[0]): [
            line[start:end].strip()
            for start, end in zip(starts, [*starts[1:], len(line)], strict=True)
        ]
        for line in lines
    }
    assert list(rows) == sorted(rows)
    _, email, created, state, loginids = rows[number]
    assert (email, state) == (ada.email, since)
    assert loginids == f"{ada.real}, {ada.demo}"
    assert abs(time.time() - calendar.timegm(time.strptime(created, "%Y-%m-%d %H:%M:%S"))) < 600
    assert rows[demo_number][3] == "demo"
    assert set(rows[demo_number][4].split(", ")) == set(gateway.loginids)
    await command(gateway, "user", "enable", "--email", ada.email)
    enabled = await command(gateway, "user", "list")
    assert "  enabled  " in next(line for line in enabled.splitlines() if ada.email in line)


async def test_an_app_is_disabled_and_enabled(gateway: Served) -> None:
    async with watching(gateway, gateway.token) as owner:

        async def of_app(*arguments: str) -> str:
            """Run a command about apps, and wait until the gateway has applied its change."""
            printed = await command(gateway, "app", *arguments)
            # Changes are applied in their order: with this one the other is known.
            credit = ("--loginid", gateway.loginids[0], "--amount", "1")
            await command(gateway, "account", "credit", *credit)
            await soon(owner)
            return printed

        app_id = await of_app("create", "--name", "Helper")
        async with gateway.connected(app_id=app_id) as client:
            assert (await client.ask({"ping": 1}))["ping"] == "pong"
            await of_app("disable", "--app-id", app_id)
            assert (await client.ended())[0] == ENDED_BY_OPERATOR
        await of_app("enable", "--app-id", app_id)
        async with gateway.connected(app_id=app_id) as client:
            assert (await client.ask({"ping": 1}))["ping"] == "pong"


async def test_a_user_is_created_with_a_residence(gateway: Served) -> None:
    create = ("user", "create", "--password", "correct horse", "--email")
    created = await command(gateway, *create, "alan@example.com", "--residence", "GB")
    text = token(gateway, created.split()[1], "Bot")
    async with gateway.connected() as client:
        assert (await client.authorize(text))["country"] == "gb"
    in_kenya = {"SCOPEGATE_RESIDENCE": "ke"}
    db = stores.option(gateway.db)
    done = scopegate(*create, "wangari@example.com", *db, folder=gateway.folder, settings=in_kenya)
    text = token(gateway, done.stdout.split()[1], "Bot")
    async with gateway.connected() as client:
        assert (await client.authorize(text))["country"] == "ke"
    unknown = ("hal@example.com", "--residence", "xx", *db)
    refused = scopegate(*create, *unknown, folder=gateway.folder)
    assert refused.returncode == 1
    assert "'xx' is not a two-letter country code, such as id or gb" in refused.stderr


async def test_a_password_is_kept_as_its_hash(gateway: Served, ada: Person) -> None:
    def kept() -> str:
        with stores.snapshot(gateway.db) as db:
            row = db.execute("SELECT password_hash FROM users WHERE email = ?", [ada.email])
            text: str = row.fetchone()[0]
            return text

    assert kept() is None
    await command(gateway, "user", "password", "--email", ada.email, "--password", "battery staple")
    assert PasswordHasher().verify(kept(), "battery staple")
    assert not PasswordHasher().check_needs_rehash(kept())  # of the usual cost


# Accounts.


async def test_a_credit_reaches_live_streams(gateway: Served, ada: Person) -> None:
    async with watching(gateway, token(gateway, ada.real, "Bot")) as client:
        await client.ask({"transaction": 1, "subscribe": 1})
        printed = await command(
            gateway, "account", "credit", "--loginid", ada.real, "--amount", "12.34"
        )
        assert printed == f"{ada.real} 10012.34 USD"
        told = {
            message["msg_type"]: message for message in (await soon(client), await soon(client))
        }
        assert told["balance"]["balance"]["balance"] == 10012.34
        booked = told["transaction"]["transaction"]
        assert (booked["action"], booked["amount"]) == ("deposit", 12.34)
        assert booked["balance"] == 10012.34
        assert abs(booked["transaction_time"] - time.time()) < 60

        printed = await command(gateway, "account", "reset", "--loginid", ada.real)
        assert printed == f"{ada.real} 10000.00 USD"
        told = {
            message["msg_type"]: message for message in (await soon(client), await soon(client))
        }
        assert told["balance"]["balance"]["balance"] == 10000
        assert told["transaction"]["transaction"]["amount"] == -12.34
        statement = await client.ask({"statement": 1, "description": 1})
        entries = statement["statement"]["transactions"]
        assert [entry["amount"] for entry in entries] == [-12.34, 12.34, 10000]
        assert entries[0]["longcode"] == "Reset by the operator."


async def test_an_operator_pays_in_nothing_that_the_owner_has_excluded(
    gateway: Served, ada: Person
) -> None:
    run_once(
        gateway.db,
        lambda transaction: exclusion.tighten(
            transaction, ada.real, {"max_deposit": 1_000}, at=int(time.time())
        ),
    )
    refused = scopegate(
        *("account", "credit", "--loginid", ada.real, "--amount", "10.01"),
        *stores.option(gateway.db),
        folder=gateway.folder,
    )
    assert refused.returncode == 1
    assert "The limit on deposits today is USD 10.00" in refused.stderr
    printed = await command(gateway, "account", "credit", "--loginid", ada.real, "--amount", "10")
    assert printed == f"{ada.real} 10010.00 USD"


async def test_why_somebody_withdraws_through_an_agent_is_told_to_the_operator(
    gateway: Served, ada: Person
) -> None:
    written = "My bank\n\x1b[2Jhas moved."  # what a terminal would obey is left out
    run_once(gateway.db, lambda transaction: agents.give_reason(transaction, ada.real, written))
    printed = (await command(gateway, "account", "withdrawal-reasons")).splitlines()
    assert printed[0].split() == ["loginid", "given", "(UTC)", "reason"]
    assert printed[1].startswith(ada.real)
    assert printed[1].endswith("My bank [2Jhas moved.")


async def test_the_operator_lifts_what_an_owner_has_excluded(gateway: Served, ada: Person) -> None:
    made = run_once(
        gateway.db,
        lambda transaction: tokens.create(
            transaction, tokens.NewToken(ada.demo, "Owner", {READ, ADMIN})
        ),
    )
    async with gateway.connected() as client:
        await client.authorize(made)
        assert "error" not in await client.ask({"set_self_exclusion": 1, "max_losses": 5})
        asked = {"get_self_exclusion": 1}
        assert (await client.ask(asked))["get_self_exclusion"] == {"max_losses": 5.0}
        await command(gateway, "account", "lift", "--loginid", ada.demo)
        assert (await client.ask(asked))["get_self_exclusion"] == {}


async def test_accounts_are_listed_for_people_and_for_programs(
    gateway: Served, ada: Person
) -> None:
    as_json, as_text = await asyncio.gather(
        command(gateway, "account", "list", "--json"), command(gateway, "account", "list")
    )
    rows = {row["loginid"]: row for row in json.loads(as_json)}
    assert rows[ada.demo] == {
        "loginid": ada.demo,
        "is_virtual": 1,
        "currency": "USD",
        "balance": 10000.0,
    }
    assert rows[ada.real]["is_virtual"] == 0
    assert set(gateway.loginids) < rows.keys()
    lines = [line.split() for line in as_text.splitlines()]
    assert lines[0] == ["loginid", "kind", "currency", "balance"]
    assert [line[0] for line in lines[1:]] == list(rows)
    assert [ada.real, "real-style", "USD", "10000.00"] in lines


# Apps.


async def test_an_app_made_while_serving_can_connect(gateway: Served, ada: Person) -> None:
    async with watching(gateway, gateway.token) as client:
        app_id = await command(
            gateway,
            *("app", "create", "--name", "My bot", "--scopes", "read,trade"),
            *("--redirect-uri", "http://localhost:3000/callback", "--email", ada.email),
            *("--allowed-origin", "http://localhost:3000"),
        )
        assert app_id.isdigit()
        # Changes are applied in their order: with this one the app is known.
        await command(
            gateway, "account", "credit", "--loginid", gateway.loginids[0], "--amount", "1"
        )
        await soon(client)
    async with gateway.connected(app_id=app_id) as client:
        assert (await client.ask({"ping": 1}))["ping"] == "pong"
        # An owner's own token is good with any app.
        await client.authorize(gateway.token)
    async with gateway.connected(app_id=app_id, origin="https://evil.test") as client:
        assert await client.refused({"ping": 1}) == "InvalidAppID"
    listed = [line.split() for line in (await command(gateway, "app", "list")).splitlines()]
    assert listed[0] == ["app_id", "name", "scopes", "redirect_uri"]
    assert [app_id, "My", "bot", "read,trade", "http://localhost:3000/callback"] in listed
    async with gateway.connected(app_id=int(app_id) + 1) as client:
        assert await client.refused({"ping": 1}) == "InvalidAppID"


async def test_an_app_gets_the_id_that_a_bot_has_in_its_code(gateway: Served) -> None:
    create = ("app", "create", "--name", "Old bot", "--app-id")
    async with watching(gateway, gateway.token) as client:
        assert await command(gateway, *create, "32404") == "32404"
        await command(
            gateway, "account", "credit", "--loginid", gateway.loginids[0], "--amount", "1"
        )
        await soon(client)
    async with gateway.connected(app_id=32404) as client:
        assert (await client.ask({"ping": 1}))["ping"] == "pong"
    for taken, why in (
        ("32404", "app_id 32404 is taken: choose another (scopegate app list shows all)"),
        ("1089", "app_id 1089 is taken"),
        ("0", "0 is not in the range 1<=x<=999999999"),
    ):
        done = scopegate(*create, taken, *stores.option(gateway.db), folder=gateway.folder)
        assert done.returncode != 0
        assert why in done.stderr


async def test_an_app_made_for_one_flow_keeps_to_it(gateway: Served, ada: Person) -> None:
    made = {}
    for flow in ((), ("--flow", "code"), ("--flow", "tokens")):
        made[flow[-1:]] = await command(
            gateway,
            *("app", "create", "--name", f"Flow {len(made)}", "--email", ada.email),
            *("--redirect-uri", "http://localhost:3000/callback", *flow),
        )
    owner = run_once(
        gateway.db,
        lambda transaction: tokens.create(transaction, tokens.NewToken(ada.demo, "Flows", {ADMIN})),
    )
    async with gateway.connected() as client:
        await client.authorize(owner)
        listed = (await client.ask({"app_flow": 1}))["app_flow"]
    assert {str(each["app_id"]): each["flow"] for each in listed} == {
        made[()]: "both",
        made[("code",)]: "code",
        made[("tokens",)]: "tokens",
    }


async def test_an_app_is_made_for_devices(gateway: Served) -> None:
    create = ("app", "create", "--name")
    made = await command(gateway, *create, "For devices", "--device-flow")
    other = await command(gateway, *create, "Not for devices")
    found = run_once(gateway.db, lambda job: {app.id: app for app in apps.load_all(job)})
    assert (found[int(made)].device_flow, found[int(other)].device_flow) == (True, False)


async def test_an_app_is_given_a_client_secret(gateway: Served) -> None:
    app_id = await command(gateway, "app", "create", "--name", "With a secret")

    def fits(secret: str | None) -> bool:
        return run_once(gateway.db, lambda job: app_secrets.fits(job, int(app_id), secret))

    secret = await command(gateway, "app", "secret", "--app-id", app_id)
    assert (fits(secret), fits(None)) == (True, False)
    assert await command(gateway, "app", "secret", "--app-id", app_id, "--delete") == ""
    assert (fits(secret), fits(None)) == (False, True)
    done = scopegate(
        "app", "secret", "--app-id", "77777", *stores.option(gateway.db), folder=gateway.folder
    )
    assert done.returncode != 0
    assert "there is no app 77777" in done.stderr


# What is offered, by either name of the program.


async def test_calls_are_listed_by_either_name_of_the_program(gateway: Served) -> None:
    def run(program: tuple[str, ...], *arguments: str) -> str:
        done = scopegate(*arguments, folder=gateway.folder, program=program)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    as_json, as_text = await asyncio.gather(
        asyncio.to_thread(run, SCRIPT, "calls", "--json"),
        asyncio.to_thread(run, INTERPRETER, "calls"),
    )
    rows = {row["call"]: row for row in json.loads(as_json)}
    assert rows["balance"]["needs"] == ["read", "trading_information"]
    assert rows["topup_virtual"]["needs"] == ["trade"]
    assert rows["ticks"]["needs"] == []
    assert rows["ticks"]["idempotency_key"] is None
    assert rows["sell"]["idempotency_key"] == [1, 64]
    assert rows["token_create"]["idempotency_key"] == [32, 64]
    assert rows["ticks"]["needs_login"] is False
    standings = {name: rows[name]["standing"] for name in ("ticks", "consent", "sign_in")}
    assert standings == {"ticks": None, "consent": "owner", "sign_in": "pages"}
    heading, *lines = as_text.splitlines()
    assert heading.split() == ["call", "needs", "key", "what", "it", "does"]
    assert [line.split()[0] for line in lines] == list(rows)
    for line, row in zip(lines, rows.values(), strict=True):
        assert line.rstrip().endswith(row["sentence"])
    # The list is what this gateway does offer: a call that it lacks is not known there.
    async with gateway.connected() as client:
        for name in rows:
            reply = await client.ask({name: "?"})
            assert reply.get("error", {}).get("code") != "UnrecognisedRequest", name
        assert await client.refused({"no_such_call": 1}) == "UnrecognisedRequest"
