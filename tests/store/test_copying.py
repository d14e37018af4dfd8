"""A database that is copied to the other engine, and back."""

import subprocess
import sys
from pathlib import Path

import pytest

from scopegate.exchange.symbols import FEED_VERSION
from scopegate.store import copying
from scopegate.store.errors import StoreError
from scopegate.store.location import Location
from scopegate.store.migrating import migrate
from scopegate.store.opening import store_at
from scopegate.store.postgresql_connection import PostgresqlConnection
from scopegate.store.store import Store
from scopegate.store.transactions import Connection
from tests import postgresql, stores
from tests.served import PATIENCE, environment

pytestmark = [
    pytest.mark.skipif(bool(postgresql.missing()), reason=postgresql.missing()),
    pytest.mark.sqlite,  # it uses both engines by itself
]

ROWS = (
    "INSERT INTO meta (name, value) VALUES ('seed', 'x''é'), ('feed', '{feed}')",
    "INSERT INTO users (id, email, created_at, disabled_at) VALUES (7, 'a@b.c', 0.1, NULL),"
    " (9, 'd@e.f', 1e9, 1795928293.123456)",
    "INSERT INTO accounts (loginid, user_id, currency, is_virtual, balance, created_at)"
    " VALUES ('CR900001', 7, 'USD', 0, 150, 1.5),"
    " ('VRTC9000001', 9, 'BTC', 1, 9007199254740993, 2)",
    "INSERT INTO counter_accounts (name, currency, balance) VALUES ('outside', 'USD', -150),"
    " ('outside', 'BTC', -9007199254740993)",
    "INSERT INTO apps (id, user_id, name, scopes, created_at) VALUES (5000, 7, 'Bot', 'read', 3)",
    "INSERT INTO links (id, app_id, user_id, scopes, created_at) VALUES (3, 5000, 7, 'read', 4)",
    "INSERT INTO sign_ins (id, user_id, action, at, address, language, user_agent, succeeded)"
    " VALUES (2, 7, 'login', 5, '::1', 'EN', 'x', 1)",
    "INSERT INTO tokens (id, digest, masked, loginid, name, scopes, link_id, kind, created_at,"
    " sign_in_id, parent_id) VALUES (4, {blob1}, '*1', 'CR900001', 'A', 'read', 3, 'app', 6, NULL,"
    " NULL), (6, {blob2}, '*2', 'CR900001', 'B', '', NULL, 'owner', 7, 2, 4)",
    "INSERT INTO restrictions (id, token_id, networks) VALUES (1, 6, '10.0.0.0/8')",
    "INSERT INTO restrictions (id, parent_id, token_id, calls_per_minute) VALUES (5, 1, 4, 60)",
    "INSERT INTO caps (id, currency, max_stake, at_risk) VALUES (1, 'USD', 500, 9007199254740993)",
    "UPDATE tokens SET restrictions_id = 5 WHERE id = 4",
    "INSERT INTO faults (id, token_id, kind, options, created_at)"
    " VALUES (2, 6, 'drop', '{{\"after\": \"buy\"}}', 19)",
    "INSERT INTO refresh_tokens (id, digest, link_id, line_id, created_at, expires_at)"
    " VALUES (8, {blob1}, 3, 8, 6, 1795928293.5)",
    "INSERT INTO device_requests (digest, user_code_digest, app_id, scopes, requester, expires_at,"
    " poll_seconds) VALUES ({blob1}, {blob2}, 5000, 'read', '::1', 9, 5)",
    "INSERT INTO token_uses (token_id, address, call, uses, last_at)"
    " VALUES (4, '::1', 'buy', 2, 8)",
    "INSERT INTO codes (digest, link_id, redirect_uri, redirect_uri_given, challenge, expires_at)"
    " VALUES ({blob1}, 3, 'https://x', 1, '', 9)",
    # References in a circle: an entry to its contract, which refers to the entry.
    "INSERT INTO ledger (id, loginid, action, amount, balance_after, at) VALUES"
    " (1, 'CR900001', 'deposit', 250, 250, 10), (3, 'VRTC9000001', 'deposit', 9007199254740993,"
    " 9007199254740993, 10), (4, 'CR900001', 'buy', -100, 150, 11)",
    "INSERT INTO contracts (id, loginid, contract_type, shortcode, currency, price, payout,"
    " bought_at, bought_by) VALUES (11, 'CR900001', 'CALL', 'CALL_X', 'USD', 100, 195, 11, 4)",
    "UPDATE ledger SET contract_id = 11 WHERE id = 4",
    "INSERT INTO contract_orders (id, contract_id, kind, amount, at)"
    " VALUES (1, 11, 'take_profit', 5, 12)",
    "INSERT INTO copyings (copier, trader, handle, copier_token, trader_token, assets, trade_types,"
    " started_at) VALUES ('CR900001', 'VRTC9000001', 'h', 4, 6, '', '', 13)",
    "INSERT INTO copy_reports (id, copier, trader, action, original, contract_id, at)"
    " VALUES (1, 'CR900001', 'VRTC9000001', 'buy', 11, 11, 14)",
    "INSERT INTO email_codes (digest, email, kind, sent_at) VALUES ({blob1}, 'a@b.c', 'x', 15)",
    "INSERT INTO recorded_replies (digest, owner, at, reply)"
    " VALUES ({blob1}, 'CR900001', 1795928293.123456, {blob2})",
    "INSERT INTO self_exclusions (loginid, max_balance) VALUES ('CR900001', 5)",
    "INSERT INTO financial_assessments (user_id, answers) VALUES (7, '{{}}')",
    "INSERT INTO markups (contract_id, app_id, loginid, amount, cents, booked_by, at)"
    " VALUES (11, 5000, 'CR900001', 1, 1, 4, 16)",
    "INSERT INTO payments (id, kind, paid_by, received_by, payer, payee, remarks)"
    " VALUES (1, 'transfer', 4, 3, 'CR900001', 'VRTC9000001', '')",
    "INSERT INTO payment_agents (loginid, country, name, email, information, affiliate_id,"
    " commission_deposit, commission_withdrawal, payment_methods, phone_numbers, urls, approved_at)"
    " VALUES ('CR900001', 'id', 'n', 'e', '', '', '1', '1', '[]', '[]', '[]', 17)",
    "INSERT INTO withdrawal_reasons (loginid, message, at) VALUES ('CR900001', 'm', 18)",
    "INSERT INTO audit (id, at, event, user_id, actor, about, digest)"
    " VALUES (1, 1795928293.123456, 'signed in', 7, 'owner', '{{}}', '01ff')",
    "INSERT INTO daily_authorizations (day, token_id, address, times) VALUES (20000, 4, '::1', 3)",
    "INSERT INTO changes (id, kind, data) VALUES (40, 'x', '{{}}')",
    "INSERT INTO plugin_migrations (plugin, version) VALUES ('none', 0)",
)


def filled(location: Location) -> None:
    """Fill every table of a new database."""
    on_file = isinstance(location, Path)
    blobs = ("x'01ff'", "x'00'") if on_file else ("'\\x01ff'::bytea", "'\\x00'::bytea")
    with stores.connected(location) as connection:
        migrate(connection)
        with connection.writing():
            for row in ROWS:
                connection.execute(row.format(feed=FEED_VERSION, blob1=blobs[0], blob2=blobs[1]))
            connection.set_last_ids({"changes": 41, "tokens": 12})
            for table in connection.columns():
                count = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
                assert count > 0, table


def everything(location: Location) -> dict[str, object]:
    """All rows of all tables, and where their numbers continue."""
    with stores.connected(location) as connection:
        found: dict[str, object] = {
            table: list(copying._rows(connection, table, columns))
            for table, columns in connection.columns().items()
        }
        ids = connection.last_ids()
    return found | {"ids": {name: ids[name] for name in ("changes", "tokens", "apps", "ledger")}}


@pytest.mark.parametrize("begin", ["sqlite", "postgresql"])
def test_a_copy_there_and_back_is_equal(tmp_path: Path, begin: str) -> None:
    there: Location = tmp_path / "there.db"
    back: Location = tmp_path / "back.db"
    middle: Location = postgresql.empty_database()
    if begin == "postgresql":
        there, middle, back = postgresql.empty_database(), there, postgresql.empty_database()
    filled(there)
    before = everything(there)
    copied = copying.copy(there, middle)
    assert copied["tokens"] == 2
    assert everything(middle) == before
    copying.copy(middle, back)
    assert everything(back) == before
    assert everything(there) == before


async def serves(location: Location) -> Store:
    store = store_at(location)
    await store.open()
    return store


@pytest.mark.lengthy
async def test_a_target_that_is_not_new_and_a_source_that_is_served_are_refused(
    tmp_path: Path,
) -> None:
    old, new = tmp_path / "old.db", postgresql.empty_database()
    with pytest.raises(StoreError, match="there is no database"):
        copying.copy(old, new)
    with pytest.raises(StoreError, match="has no tables of a gateway"):
        copying.copy(new, old)
    filled(old)
    copying.copy(old, new)
    with pytest.raises(StoreError, match="is not empty: create a new one"):
        copying.copy(old, new)
    with pytest.raises(StoreError, match="already exists: name a new one"):
        copying.copy(new, old)
    for served, target in ((old, postgresql.empty_database()), (new, tmp_path / "x.db")):
        store = await serves(served)
        with pytest.raises(StoreError, match=r"gateway is serving"):
            copying.copy(served, target)
        await store.close()


def test_no_table_takes_too_long_to_be_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway's session is ended if it is idle for long within a transaction, this one is not."""
    check, limits = copying._check_ledger, []

    def checked(connection: Connection) -> None:
        if isinstance(connection, PostgresqlConnection):
            sql = "SELECT current_setting('idle_in_transaction_session_timeout')"
            limits.append(connection.execute(sql).fetchall()[0][0])
        check(connection)

    monkeypatch.setattr(copying, "_check_ledger", checked)
    server = postgresql.empty_database()
    filled(tmp_path / "a.db")
    copying.copy(tmp_path / "a.db", server)
    copying.copy(server, tmp_path / "b.db")
    assert limits == ["0", "0"]


def test_books_that_are_wrong_are_not_copied(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.db"
    filled(wrong)
    with stores.connected(wrong) as connection:
        connection.execute("UPDATE accounts SET balance = balance + 1 WHERE loginid = 'CR900001'")
    target = postgresql.empty_database()
    with pytest.raises(StoreError, match="the balance of CR900001 is not the sum"):
        copying.copy(wrong, target)
    with stores.connected(target) as connection:
        assert connection.execute("SELECT count(*) FROM users").fetchone()[0] == 0


def test_tables_of_an_unknown_plugin_are_not_left_behind(tmp_path: Path) -> None:
    source = tmp_path / "source.db"
    filled(source)
    with stores.connected(source) as connection:
        connection.execute("CREATE TABLE weather_places (id INTEGER PRIMARY KEY)")
    with pytest.raises(StoreError, match="weather_places, of a plugin that is not known"):
        copying.copy(source, postgresql.empty_database())


@pytest.mark.lengthy
def test_the_command_says_what_it_has_copied(tmp_path: Path) -> None:
    filled(tmp_path / "scopegate.db")
    target = postgresql.empty_database()

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "scopegate", "store", "copy", *arguments],
            check=False,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environment(),
            timeout=PATIENCE,
        )

    done = run("sqlite:scopegate.db", target.url)
    assert done.returncode == 0, done.stderr
    assert ["tokens", "2"] in [line.split() for line in done.stdout.splitlines()]
    again = run("sqlite:scopegate.db", target.url)
    assert again.returncode == 1
    assert again.stderr.startswith("Error: the database postgresql://")
    assert run("scopegate.db", target.url).returncode == 2
