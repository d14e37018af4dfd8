"""Every table has a bound or is kept for ever, and old rows are deleted while serving."""

import asyncio
import time

import pytest

from scopegate import app, paper_retention, retention, testing
from scopegate.retention import DAY
from scopegate.store.sqlite_connection import MAX_STORED_CHANGES
from scopegate.store.transactions import Snapshot, Transaction
from scopegate.testing import World
from tests.scenarios.test_growth import LONG_AGO
from tests.served import over_sockets

HOUR = 3_600.0
BOUNDED = {
    "audit": "Records of the audit trail",
    "daily_authorizations": "Authorizations of a token",
    "changes": "Changes that other processes",
    "codes": "Authorization codes of apps",
    "contract_orders": "Orders of a contract",
    "copy_reports": "Reports of copied trades",
    "copyings": "Ended copying relations",
    "device_requests": "Requests of devices for consent",
    "email_codes": "Codes by e-mail",
    "links": "Ended authorizations of apps",
    "refresh_tokens": "Refresh tokens of apps",
    "restrictions": "Restrictions of tokens",
    "apps": "Deleted apps",
    "sign_ins": "Sign-ins and sign-outs",
    "token_uses": "Uses of a token",
    "tokens": "Ended tokens",
}
"""The beginning of the rule of each table that is purged."""
OLD = {
    "audit": "id = 1",
    "daily_authorizations": "1 = 1",
    "apps": "name = 'Old'",
    "changes": f"id <= (SELECT max(id) FROM changes) - {MAX_STORED_CHANGES}",  # noqa: S608
    "codes": "1 = 1",
    "contract_orders": "1 = 1",
    "copyings": "1 = 1",
    "device_requests": "1 = 1",
    "email_codes": "1 = 1",
    "links": "ended_at IS NOT NULL",
    "refresh_tokens": "1 = 1",
    "restrictions": "networks = 'old'",
    "sign_ins": "address = 'old'",
    "token_uses": "address = 'old'",
    "tokens": "name = 'Old'",
}
"""What each purge deletes of `_old_rows`; reports of copies are deleted as others are added."""
KEPT = {
    *("users", "accounts", "ledger", "contracts", "payments", "markups"),
    # At most one row for each user, account or row of `restrictions`.
    "caps",
    # At most 20 for each token and authorization, deleted with it.
    "faults",
    *("financial_assessments", "payment_agents", "self_exclusions", "withdrawal_reasons"),
    # At most one row for each name, currency, plugin or database.
    *("counter_accounts", "last_batch", "meta", "plugin_migrations"),
}
"""Kept for ever."""


@pytest.mark.sqlite
async def test_every_table_has_a_rule_or_is_kept(world: World) -> None:
    tables = await world.gateway.store.read(
        lambda reader: reader.all(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        )
    )
    assert {row[0] for row in tables} == BOUNDED.keys() | KEPT
    rules = [*retention.RULES, *paper_retention.RULES]
    assert len(rules) == len(BOUNDED)
    for table, begins in BOUNDED.items():
        assert [rule for rule in rules if rule.rows.startswith(begins)], table


def _old_rows(transaction: Transaction, user_id: int, loginids: list[str], market: float) -> None:
    """Insert one row into each bounded table that is too old."""
    execute = transaction.execute
    copier, trader, *_ = loginids
    execute(
        "INSERT INTO apps (user_id, name, scopes, created_at, deleted_at)"
        " VALUES (?, 'Old', 'read', 0, ?)",
        user_id,
        LONG_AGO,
    )
    execute(
        "INSERT INTO links (app_id, user_id, scopes, loginids, created_at, ended_at)"
        " SELECT max(id), ?, 'read', '', 0, ? FROM apps",
        user_id,
        LONG_AGO,
    )
    execute(
        "INSERT INTO tokens (digest, masked, loginid, name, scopes, kind, created_at, ended_at,"
        " link_id) SELECT ?, '', ?, 'Old', 'read', 'app', 0, ?, max(id) FROM links",
        b"old",
        copier,
        LONG_AGO,
    )
    # Below those of the token that are deleted with it.
    execute("INSERT INTO restrictions (token_id, networks) SELECT max(id), 'old' FROM tokens")
    execute(
        "INSERT INTO restrictions (parent_id, networks) SELECT max(id), 'old' FROM restrictions"
    )
    execute("INSERT INTO caps (id, currency) SELECT id, 'USD' FROM restrictions")
    execute(
        "INSERT INTO token_uses (token_id, address, call, uses, last_at)"
        " SELECT max(id), 'old', 'ping', 1, ? FROM tokens",
        LONG_AGO,
    )
    execute(
        "INSERT INTO daily_authorizations (day, token_id, address, times)"
        " SELECT 19000, max(id), 'old', 2 FROM tokens"
    )
    execute("UPDATE audit SET at = ? WHERE id = 1", time.time() - 401 * DAY)
    execute(
        "INSERT INTO sign_ins (user_id, action, at, address, language, user_agent, succeeded)"
        " VALUES (?, 'login', ?, 'old', 'EN', '', 1)",
        user_id,
        time.time() - 366 * DAY,
    )
    execute(
        "INSERT INTO copyings (copier, trader, handle, copier_token, trader_token, assets,"
        " trade_types, started_at, ended_at)"
        " SELECT ?, ?, 'handle', max(id), max(id), '', '', 0, ? FROM tokens",
        copier,
        trader,
        market - 91 * DAY,
    )
    execute(
        "INSERT INTO contracts (loginid, contract_type, shortcode, currency, price, payout,"
        " bought_at, sold_at, sold_for, status)"
        " VALUES (?, 'MULTUP', '', 'USD', 1, 1, 0, ?, 1, 'sold')",
        copier,
        market - 91 * DAY,
    )
    execute(
        "INSERT INTO contract_orders (contract_id, kind, amount, at)"
        " SELECT max(id), 'take_profit', 1, ? FROM contracts",
        market - 91 * DAY,
    )
    execute(
        "INSERT INTO codes (digest, link_id, redirect_uri, redirect_uri_given, challenge,"
        " expires_at) SELECT ?, max(id), '', 0, '', ? FROM links",
        b"old",
        time.time() - 2 * HOUR,
    )
    execute(
        "INSERT INTO refresh_tokens (digest, link_id, line_id, created_at, expires_at)"
        " SELECT ?, max(id), 1, 0, ? FROM links",
        b"old",
        time.time() - 1,
    )
    execute(
        "INSERT INTO device_requests (digest, user_code_digest, app_id, scopes, requester,"
        " expires_at, poll_seconds, link_id) SELECT ?, ?, app_id, '', 'old', ?, 5, id FROM links"
        " ORDER BY id DESC LIMIT 1",
        b"old",
        b"old",
        time.time() - 2 * HOUR,
    )
    execute(
        "INSERT INTO email_codes (digest, email, kind, sent_at) VALUES (?, 'old', 'old', ?)",
        b"old",
        time.time() - 2 * HOUR,
    )
    for _ in range(MAX_STORED_CHANGES + 250):
        execute("INSERT INTO changes (kind, data) VALUES ('nothing', '{}')")


def _counts(reader: Snapshot) -> dict[str, int]:
    """How many rows of each table are too old, or too many."""
    return {
        table: reader.single(f"SELECT count(*) FROM {table} WHERE {where}")[0]  # noqa: S608
        for table, where in OLD.items()
    }


@pytest.mark.sqlite
async def test_each_rule_is_applied_while_the_gateway_serves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(app, "EVERY", 0.05)
    async with testing.world() as world, over_sockets(world) as connect:
        client = await connect()
        assert world.gateway.demo is not None
        loginids = [account.loginid for account in world.gateway.demo.accounts]
        market = world.clock.now()

        def insert(transaction: Transaction) -> dict[str, int]:
            _old_rows(transaction, world.demo.user_id, loginids, market)
            return _counts(transaction)

        assert all((await world.gateway.store.write(insert)).values())
        async with asyncio.timeout(30):
            while any((await world.gateway.store.read(_counts)).values()):
                assert (await client.ask({"ping": 1}))["ping"] == "pong"
