"""What a client can make grow is bounded."""

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from typing import Any

import pytest
import structlog

from scopegate import app, testing
from scopegate.gateway.access import apps, token_uses, users
from scopegate.retention import DAY, Key, Moments, Retention, Rule
from scopegate.store.sqlite_connection import MAX_STORED_CHANGES
from scopegate.store.transactions import Snapshot, Transaction
from scopegate.testing import World


async def test_the_latest_signings_in_are_kept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(users, "MAX_SIGN_INS", 5)
    owner = await world.owner()
    client, token = world.connect(), await world.token()
    for _ in range(3):
        for _ in range(4):
            await client.ask({"authorize": token, "add_to_login_history": 1})
        await world.gateway.access.records.flush()
    row = await world.gateway.store.read(
        lambda reader: reader.one("SELECT count(*) FROM sign_ins WHERE user_id = ?", 1)
    )
    assert row is not None
    assert 5 <= row[0] <= 6  # the owner's own, at a page, has tokens that hang on it
    assert (await client.ask({"login_history": 1, "limit": 50}))["login_history"]
    assert "error" not in await owner.ask({"balance": 1})


LONG_AGO = time.time() - 91 * DAY


async def count(world: World, table: str, where: str = "1 = 1") -> int:
    row = await world.gateway.store.read(
        lambda reader: reader.one(f"SELECT count(*) FROM {table} WHERE {where}")  # noqa: S608
    )
    assert row is not None
    return int(row[0])


async def purge(world: World) -> None:
    await world.gateway.service(Retention).purge()


async def run(world: World, statement: str, *parameters: object) -> None:
    await world.gateway.store.write(lambda transaction: transaction.execute(statement, *parameters))


async def test_of_a_token_s_uses_the_latest_are_kept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_uses, "MAX_USES", 3)
    token = await world.token("read")
    for number in range(6):
        client = world.connect(address=f"10.0.0.{number}")
        await client.authorize(token)
        await client.ask({"balance": 1})
        await world.gateway.access.records.flush()
    where = "address LIKE '10.0.0.%'"
    assert 3 <= await count(world, "token_uses", where) <= 4  # two of one flush are equally old
    assert await count(world, "token_uses", "address = '10.0.0.0'") == 0
    owner = await world.owner()
    listed = (await owner.ask({"token_list": 1}))["token_list"]
    assert "10.0.0.5" in [row["last_used_from"] for row in listed]


async def test_uses_of_long_ago_are_forgotten(world: World) -> None:
    client = world.connect(address="10.0.0.7")
    await client.authorize(await world.token("read"))
    await world.gateway.access.records.flush()
    await purge(world)
    assert await count(world, "token_uses", "address = '10.0.0.7'") == 1
    await run(world, "UPDATE token_uses SET last_at = ?", LONG_AGO)
    await purge(world)
    assert await count(world, "token_uses") == 0


async def test_tokens_that_ended_long_ago_are_deleted_and_no_others(world: World) -> None:
    client = world.connect()
    await client.authorize(await world.token("read", "admin"))
    for name in ("Kept", "Recent", "Old"):
        await client.ask({"api_token": 1, "new_token": name, "new_token_scopes": ["read"]})
    listed = (await client.ask({"api_token": 1}))["api_token"]["tokens"]
    for row in listed:
        if row["display_name"] in ("Recent", "Old"):
            await client.ask({"api_token": 1, "delete_token": row["token"]})
    before = await count(world, "tokens", "ended_at IS NULL")
    await run(
        world,
        "INSERT INTO token_uses (token_id, address, call, uses, last_at)"
        " SELECT id, '::1', 'ping', 1, ? FROM tokens WHERE name = 'Old'",
        time.time(),
    )
    await run(world, "UPDATE tokens SET ended_at = ? WHERE name = 'Old'", LONG_AGO)
    await purge(world)
    assert await count(world, "tokens", "name = 'Old'") == 0
    assert await count(world, "tokens", "name = 'Recent'") == 1
    assert await count(world, "tokens", "ended_at IS NULL") == before


async def test_tokens_that_ran_out_unused_end_all_the_same(world: World) -> None:
    """Those of a page that was closed, and what an app let run out."""
    await world.owner()
    await run(world, "UPDATE tokens SET expires_at = ? WHERE sign_in_id IS NOT NULL", LONG_AGO)
    await purge(world)
    assert await count(world, "tokens", "sign_in_id IS NOT NULL AND ended_at IS NULL") == 0
    await run(world, "UPDATE tokens SET ended_at = ? WHERE sign_in_id IS NOT NULL", LONG_AGO)
    client, token = world.connect(), await world.token("read")
    await client.authorize(token)
    await purge(world)
    assert await count(world, "tokens", "sign_in_id IS NOT NULL") == 0
    # What was counted of them and not yet written is no matter, and nobody else's is lost.
    await world.gateway.access.records.flush()
    assert await count(world, "token_uses") == 1


async def test_taking_back_access_takes_no_longer_for_tokens_that_have_ended(world: World) -> None:
    """However many an app has made and deleted: one statement more for each would hold up all."""

    class Counting(Transaction):
        executed = 0

        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
            Counting.executed += 1
            return super().execute(sql, *parameters)

    executed = []
    for made in (0, 20):
        made_by = await world.app("read", "admin")
        bot = world.connect(app_id=made_by.id)
        await bot.authorize(await world.token("read", "admin", app=made_by))
        for _ in range(made):
            reply = await bot.ask({"api_token": 1, "new_token": "T", "new_token_scopes": ["read"]})
            [token] = reply["api_token"]["tokens"]
            await bot.ask({"api_token": 1, "delete_token": token["token"]})

        def job(transaction: Transaction, app_id: int = made_by.id) -> int:
            Counting.executed = 0
            apps.unlink(Counting(transaction._connection), app_id, world.demo.user_id)
            return Counting.executed

        executed.append(await world.gateway.store.write(job))
    assert executed[0] == executed[1]


async def test_only_the_latest_of_an_account_s_ended_tokens_are_kept(world: World) -> None:
    def many(transaction: Transaction) -> None:
        for number in range(1_300):
            transaction.execute(
                "INSERT INTO tokens (digest, masked, loginid, name, scopes, kind, created_at,"
                " ended_at) VALUES (?, '', ?, ?, 'read', 'owner', 0, ?)",
                str(number).encode(),
                world.demo.loginid,
                f"Ended {number}",
                time.time() - 2_000 + number,
            )

    await world.gateway.store.write(many)
    await purge(world)
    assert await count(world, "tokens", "ended_at IS NOT NULL") == 1_000
    assert await count(world, "tokens", "name = 'Ended 299'") == 0
    assert await count(world, "tokens", "name = 'Ended 300'") == 1


async def test_only_the_latest_of_a_user_s_deleted_apps_and_ended_authorizations_are_kept(
    world: World,
) -> None:
    def many(transaction: Transaction) -> None:
        for number in range(103):
            transaction.execute(
                "INSERT INTO apps (user_id, name, scopes, created_at, deleted_at)"
                " VALUES (?, ?, 'read', 0, ?)",
                world.demo.user_id,
                f"Deleted {number}",
                time.time() - 2_000 + number,
            )
        for number in range(1_003):
            transaction.execute(
                "INSERT INTO links (app_id, user_id, scopes, loginids, created_at, ended_at)"
                " VALUES (?, ?, 'read', '', ?, ?)",
                apps.TEST_APP,
                world.demo.user_id,
                number,
                time.time() - 2_000 + number,
            )

    await world.gateway.store.write(many)
    await purge(world)
    assert await count(world, "apps", "deleted_at IS NOT NULL") == 100
    assert await count(world, "apps", "name = 'Deleted 2'") == 0
    assert await count(world, "apps", "name = 'Deleted 3'") == 1
    assert await count(world, "links") == 1_000
    assert await count(world, "links", "created_at < 3") == 0


async def test_a_deleted_app_goes_with_its_authorizations_and_one_that_earned_stays(
    world: World,
) -> None:
    gone, earned = [await world.app(name=name) for name in ("Gone", "Earned")]
    for each in (gone, earned):
        await world.token("read", app=each)
    await run(
        world,
        "INSERT INTO contracts (loginid, contract_type, shortcode, currency, price, payout,"
        " bought_at) VALUES (?, 'CALL', '', 'USD', 1, 1, 0)",
        world.demo.loginid,
    )
    await run(
        world,
        "INSERT INTO markups (contract_id, app_id, loginid, amount, cents, booked_by, at)"
        " SELECT max(contracts.id), ?, ?, 1, 1, max(ledger.id), 0 FROM contracts, ledger",
        earned.id,
        world.demo.loginid,
    )
    await run(
        world, "UPDATE apps SET deleted_at = ? WHERE id IN (?, ?)", LONG_AGO, gone.id, earned.id
    )
    await run(world, "UPDATE links SET ended_at = ?", LONG_AGO)
    await run(world, "UPDATE tokens SET ended_at = ? WHERE link_id IS NOT NULL", LONG_AGO)
    await purge(world)
    assert await count(world, "tokens", "link_id IS NOT NULL") == 0
    assert await count(world, "links") == 0
    assert await count(world, "apps", "name = 'Gone'") == 0
    assert await count(world, "apps", "name = 'Earned'") == 1


async def test_orders_of_a_contract_are_bounded_and_go_after_its_end(world: World) -> None:
    client = world.connect()
    await client.authorize(await world.token("trade", "read"))
    terms = {
        "contract_type": "MULTUP",
        "symbol": "1HZ100V",
        "currency": "USD",
        "basis": "stake",
        "amount": 10,
        "multiplier": 100,
    }
    bought = await client.ask({"buy": 1, "price": 10, "parameters": terms})
    number = bought["buy"]["contract_id"]
    world.clock.advance(2)
    for amount in range(1, 131):
        order = {"take_profit": 1_000 + amount}
        reply = await client.ask(
            {"contract_update": 1, "contract_id": number, "limit_order": order}
        )
        assert "error" not in reply
    history = {"contract_update_history": 1, "contract_id": number, "limit": 999}
    rows = (await client.ask(history))["contract_update_history"]
    assert len(rows) == 100
    assert float(rows[0]["order_amount"]) == 1_130
    await client.ask({"sell": number, "price": 0})
    ago = world.clock.now() - 91 * DAY
    await run(world, "UPDATE contract_orders SET at = ?", ago)
    await purge(world)
    assert await count(world, "contract_orders") == 100  # the contract has ended just now
    await run(world, "UPDATE contracts SET sold_at = ? WHERE status <> 'open'", ago)
    await purge(world)
    assert await count(world, "contract_orders") == 0


@pytest.mark.sqlite
async def test_of_announced_changes_the_latest_are_kept(world: World) -> None:
    def many(transaction: Transaction) -> None:
        for _ in range(MAX_STORED_CHANGES + 250):
            transaction.execute("INSERT INTO changes (kind, data) VALUES ('nothing', '{}')")

    await world.gateway.store.write(many)
    await purge(world)
    assert await count(world, "changes") == MAX_STORED_CHANGES


async def test_sign_ins_and_copying_relations_of_long_ago_are_forgotten(world: World) -> None:
    assert world.gateway.demo is not None
    trader, copier, _ = (account.loginid for account in world.gateway.demo.accounts)
    await world.token("read")
    await run(
        world,
        "INSERT INTO sign_ins (user_id, action, at, address, language, user_agent, succeeded)"
        " VALUES (1, 'login', ?, '', 'EN', '', 1)",
        time.time() - 366 * DAY,
    )
    await run(
        world,
        "INSERT INTO copyings (copier, trader, handle, copier_token, trader_token, assets,"
        " trade_types, started_at, ended_at)"
        " SELECT ?, ?, 'handle', max(id), max(id), '', '', 0, ? FROM tokens",
        copier,
        trader,
        world.clock.now() - 91 * DAY,
    )
    last = "(SELECT max(id) FROM tokens)"
    await run(world, f"UPDATE tokens SET ended_at = ? WHERE id = {last}", LONG_AGO)  # noqa: S608
    await purge(world)
    assert await count(world, "sign_ins", f"at < {time.time() - 365 * DAY}") == 0
    assert await count(world, "copyings") == 0
    assert await count(world, "tokens", "ended_at IS NOT NULL") == 0


async def test_old_rows_are_deleted_while_the_gateway_serves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(app, "EVERY", 0.001)
    async with testing.world() as world:
        client = world.connect()
        for _ in range(1_001):
            await run(world, "INSERT INTO changes (kind, data) VALUES ('nothing', '{}')")
        async with asyncio.timeout(10):
            while await count(world, "changes") > MAX_STORED_CHANGES:
                await client.ask({"ping": 1})


async def test_what_cannot_be_deleted_keeps_nothing_else(world: World) -> None:
    """A table of a plugin may refer to a row, and a rule of a plugin may fail."""

    def refer(transaction: Transaction) -> None:
        transaction.execute("CREATE TABLE plugin_notes (token_id INTEGER REFERENCES tokens (id))")
        transaction.execute("INSERT INTO plugin_notes SELECT max(id) FROM tokens")

    for _ in range(3):
        await world.token("read")
    await world.gateway.store.write(refer)
    await world.gateway.store.write(
        lambda transaction: transaction.execute(
            "UPDATE tokens SET ended_at = 1 WHERE kind = 'owner'"
        )
    )

    def broken(reader: Snapshot, now: Moments) -> Sequence[Key]:
        raise LookupError("a rule of a plugin")

    rule = Rule("Rows of a plugin", "never", broken)
    with structlog.testing.capture_logs() as logged:
        await Retention(world.gateway.store, world.clock, [rule]).purge()
    errors = [line["rows"] for line in logged if line["log_level"] == "error"]
    assert errors == ["Rows of a plugin"]
    left = await world.gateway.store.read(
        lambda reader: reader.all("SELECT id FROM tokens WHERE ended_at IS NOT NULL")
    )
    assert len(left) == 1
